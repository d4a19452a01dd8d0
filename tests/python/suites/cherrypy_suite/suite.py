"""The tests of CherryPy."""

SOURCES = []
PEER = "waitress"
AT_LEAST = 189
DIFFERENCES = {}

# These tests start a server of CherryPy's own, or a process.
OTHER_SERVERS = [
    "test_bus",
    "test_config_server",
    "test_native",
    "test_plugins",
    "test_states",
    "test_wsgi_unix_socket",
]


def run(site):
    [package] = site.environment.venv.glob("lib/python*/site-packages/cherrypy/test")
    # `test_gc` searches the heap of the server for requests: here, it is also that of the tests, and large.
    tests = [package, "-k", "not test_gc", *(f"--ignore={package / name}.py" for name in OTHER_SERVERS)]
    return site.pytest_inside(tests, plugin="cherrypy_suite.plugin", cwd=site.folder, requests=600)
