"""A Django project: admin, whitenoise, sessions, translations, uploads, async views; also without a locale."""

from harness import process

SOURCES = []
PEER = "waitress"
AT_LEAST = 114
DIFFERENCES = {}


def run(site):
    results = {}
    # An image of a container often has no variable for the locale. Python encodes in UTF-8 then.
    for is_empty in [False, True]:
        folder = site.folder / ("empty" if is_empty else "full")
        folder.mkdir()
        environ = {
            "SUITE_FOLDER": str(folder),
            "PYTHONPATH": str(site.files),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DJANGO_SUPERUSER_PASSWORD": "geheim",
        }
        manage(site, environ, "migrate", "--run-syncdb")
        manage(site, environ, "collectstatic", "--no-input")
        manage(site, environ, "createsuperuser", "--no-input", "--username=root", "--email=root@example.org")
        with site.serving("project.wsgi:application", environ=environ, empty=is_empty, folder=folder) as server:
            done = site.pytest(site.files / "test_project.py", environ={**environ, "SUITE_URL": server.url})
        results |= {f"{folder.name} environment, {name}": outcome for name, outcome in done.items()}
    return results


def manage(site, environ, *command):
    log = site.folder / f"{command[0]}.log"
    whole = [site.python, "-m", "django", *command]
    if process.run(whole, cwd=site.folder, environ={**site.environment.activated(), **environ}, log=log, seconds=120):
        raise RuntimeError(f"{' '.join(whole)} failed:\n{log.read_text()}")
