//! Python frameworks: Flask, Django, and the server check of the standard library. Their applications are in `apps/`;
//! the frameworks are installed in a virtual environment, see [`environment`].

#[allow(dead_code, reason = "shared with the tests that bring their applications themselves")]
mod support;

#[allow(dead_code, reason = "shared with the tests of how a process ends")]
mod process;

#[path = "frameworks/environment.rs"]
mod environment;
#[path = "frameworks/browser.rs"]
mod browser;
#[path = "frameworks/file.rs"]
mod file;

#[path = "frameworks/validator.rs"]
mod validator;
#[path = "frameworks/flask.rs"]
mod flask;
#[path = "frameworks/flask_bodies.rs"]
mod flask_bodies;
#[path = "frameworks/flask_failures.rs"]
mod flask_failures;
#[path = "frameworks/django.rs"]
mod django;
#[path = "frameworks/django_bodies.rs"]
mod django_bodies;
#[path = "frameworks/django_database.rs"]
mod django_database;

#[allow(dead_code, reason = "the tests start the router, not the program")]
#[path = "../../examples/migrate.rs"]
mod migrate;
#[path = "frameworks/migrate.rs"]
mod migration;
