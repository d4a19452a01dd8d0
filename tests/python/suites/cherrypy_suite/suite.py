"""The tests of CherryPy."""

SOURCES = []
PEER = "waitress"
AT_LEAST = 188
LOWER = "the gateway sends the names of headers in lower case"
DIFFERENCES = {
    "test_caching.CacheTest::testGzipStaticCache": LOWER,
    "test_static.StaticTest::test_modif": LOWER,
    "test_conn.ConnectionCloseTests::test_HTTP10_KeepAlive": "the test wants Keep-Alive, the gateway sends keep-alive",
    "test_conn.ConnectionTests::test_readall_or_close": "no 100 Continue if the application responds without reading",
    "test_request_obj.RequestObjectTests::test_dangerous_host": "no host: 400, RFC 9112, section 3.2",
    "test_request_obj.RequestObjectTests::test_repeated_headers": "the gateway joins with a comma, without a space",
    "test_static.StaticTest::test_null_bytes": "no request target: 400, RFC 9112, section 3.2",
}

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
