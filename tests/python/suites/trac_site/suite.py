"""Trac: wiki, tickets, attachments."""

from harness import process

SOURCES = []
PEER = "waitress"
AT_LEAST = 13
DIFFERENCES = {}


def run(site):
    project = site.folder / "project"
    admin(site, project, "initenv", "Projekt ä", "sqlite:db/trac.db")
    admin(site, project, "permission", "add", "anonymous", "TRAC_ADMIN")
    environ = {"TRAC_ENV": str(project)}
    with site.serving("trac.web.main:dispatch_request", path=[], environ=environ) as server:
        return site.pytest(site.files / "test_site.py", environ={"SUITE_URL": server.url})


def admin(site, project, *command):
    log = site.folder / f"{command[0]}.log"
    whole = [str(site.environment.venv / "bin" / "trac-admin"), str(project), *command]
    if process.run(whole, cwd=site.folder, environ=site.environment.activated(), log=log, seconds=120):
        raise RuntimeError(f"{' '.join(whole)} failed:\n{log.read_text()}")
