"""The tests of requests, against httpbin."""

import shutil

SOURCES = ["requests==2.32.5"]
PEER = "waitress"
AT_LEAST = 591
DIFFERENCES = {}

# These tests connect to 10.255.255.1, in the network of the machine.
UNREACHABLE = ["test_connect_timeout", "test_total_timeout_connect"]


def run(site):
    tests = site.folder / "requests"
    shutil.copytree(site.environment.source("requests"), tests)
    # The tests' own fixture starts a server; this one names the server that runs.
    shutil.copy(site.files / "fixtures.py", tests / "conftest.py")
    with site.serving("httpbin:app", path=[]) as server:
        deselected = [f"--deselect=tests/test_requests.py::TestTimeout::{name}" for name in UNREACHABLE]
        return site.pytest("tests", *deselected, environ={"SUITE_URL": server.url}, cwd=tests)
