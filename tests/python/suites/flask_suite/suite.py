"""The tests of Flask, over the wire."""

import shutil

SOURCES = ["Flask==3.1.3"]
PEER = "waitress"
AT_LEAST = 483
DIFFERENCES = {}


def run(site):
    tests = site.folder / "flask"
    shutil.copytree(site.environment.source("Flask"), tests)
    return site.pytest_inside(["tests"], plugin="harness.werkzeug_wire", cwd=tests, requests=420)
