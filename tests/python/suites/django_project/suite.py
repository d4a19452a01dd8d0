"""A Django project: admin, whitenoise, sessions, translations, uploads, async views."""

from harness import process

SOURCES = []
PEER = "waitress"
AT_LEAST = 57
DIFFERENCES = {}


def run(site):
    environ = {
        "SUITE_FOLDER": str(site.folder),
        "PYTHONPATH": str(site.files),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DJANGO_SUPERUSER_PASSWORD": "geheim",
    }
    manage(site, environ, "migrate", "--run-syncdb")
    manage(site, environ, "collectstatic", "--no-input")
    manage(site, environ, "createsuperuser", "--no-input", "--username=root", "--email=root@example.org")
    with site.serving("project.wsgi:application", environ=environ) as server:
        return site.pytest(site.files / "test_project.py", environ={**environ, "SUITE_URL": server.url})


def manage(site, environ, *command):
    log = site.folder / f"{command[0]}.log"
    whole = [site.python, "-m", "django", *command]
    if process.run(whole, cwd=site.folder, environ={**site.environment.activated(), **environ}, log=log, seconds=120):
        raise RuntimeError(f"{' '.join(whole)} failed:\n{log.read_text()}")
