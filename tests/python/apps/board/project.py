"""Makes the project's application. Django knows one project per process, so this is for one call."""

import logging
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

import stderr  # noqa: F401  What Django has to say belongs to the complaints, too.

# What Django has logged.
logged = []


class Handler(logging.Handler):
    def emit(self, record):
        logged.append(self.format(record))


def make(folder):
    """The application, with its database and its uploads in a folder."""
    settings.configure(
        ALLOWED_HOSTS=["test.local"],
        SECRET_KEY="not much of a secret",
        ROOT_URLCONF="board.urls",
        INSTALLED_APPS=[f"django.contrib.{app}" for app in ["admin", "auth", "contenttypes", "sessions", "messages"]]
        + ["board"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[{
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
            },
        }],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": Path(folder) / "board.sqlite3",
                "CONN_MAX_AGE": None,
                "OPTIONS": {"timeout": 60},
            },
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        FILE_UPLOAD_TEMP_DIR=folder,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"list": {"class": "board.project.Handler"}},
            "loggers": {"django": {"handlers": ["list"]}},
        },
        LOGIN_URL="admin:login",
        # The other hashers are slow on purpose.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        STATIC_URL="static/",
        USE_TZ=True,
    )
    application = get_wsgi_application()
    call_command("migrate", run_syncdb=True, verbosity=0)
    from django.contrib.auth.models import User

    User.objects.create_superuser("admin", "admin@test.local", "correct horse")
    return application


def log(environ, start_response):
    """Answers with what was logged."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return ["\n".join(logged).encode()]
