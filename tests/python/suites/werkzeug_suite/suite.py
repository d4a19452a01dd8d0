"""The tests of Werkzeug, over the wire."""

import shutil

SOURCES = ["Werkzeug==3.1.9"]
PEER = "waitress"
AT_LEAST = 932
LOWER = "the gateway sends the names of headers in lower case"
STRICT = "the gateway refuses these headers"
LINT = "tests.middleware.test_lint::test_lint_middleware_http_headers"
LAZY = "tests.test_test::test_lazy_start_response_empty_response_app"
DIFFERENCES = {
    f"{LINT}[headers0-Header list is not a list.]": "the gateway warns of this, and the tests raise each warning",
    f"{LINT}[headers1-Header items must be 2-item tuples.]": STRICT,
    f"{LINT}[headers2-The status header is not supported.]": STRICT,
    **{f"{LAZY}[{one}-{other}]": LOWER for one in (False, True) for other in (False, True)},
}


def run(site):
    tests = site.folder / "werkzeug"
    shutil.copytree(site.environment.source("Werkzeug"), tests)
    # The tests of Werkzeug's own development server say nothing about this one.
    arguments = ["tests", "--ignore=tests/test_serving.py"]
    return site.pytest_inside(arguments, plugin="harness.werkzeug_wire", cwd=tests, requests=100)
