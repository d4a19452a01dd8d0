"""The tests of Werkzeug, over the wire."""

import shutil

SOURCES = ["Werkzeug==3.1.9"]
PEER = "waitress"
AT_LEAST = 900
DIFFERENCES = {}


def run(site):
    tests = site.folder / "werkzeug"
    shutil.copytree(site.environment.source("Werkzeug"), tests)
    # The tests of Werkzeug's own development server say nothing about this one.
    arguments = ["tests", "--ignore=tests/test_serving.py"]
    return site.pytest_inside(arguments, plugin="harness.werkzeug_wire", cwd=tests, requests=100)
