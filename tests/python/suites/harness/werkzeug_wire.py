"""A pytest plugin: the test clients of Werkzeug and Flask send their requests to the server."""

import http.client
import threading
from urllib.parse import quote

import werkzeug.test
from werkzeug.datastructures import Headers

from harness import inside

# Seconds for one response.
TIMEOUT = 30
# What the client of the test sees of its connection. A request over the wire has no other means to say it.
OF_THE_CONNECTION = ["wsgi.url_scheme", "REMOTE_ADDR"]

in_process = werkzeug.test.run_wsgi_app


def run_wsgi_app(app, environ, buffered=False):
    """In place of `werkzeug.test.run_wsgi_app`: returns the response parts, or raises what the application raised."""
    if threading.current_thread() is not inside.THREAD:
        # Werkzeug itself calls it to convert the return value of a view, on a thread of the server.
        return in_process(app, environ, buffered)
    asked = dict(werkzeug.test._get_environ(environ))

    def change(environ):
        root = asked.get("SCRIPT_NAME", "").rstrip("/")
        if root and environ["PATH_INFO"].startswith(root):
            environ["SCRIPT_NAME"] = root
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(root)
        for name, value in asked.items():
            # The objects with which a test speaks to its application.
            is_private = name not in environ and not name.startswith(("HTTP_", "CONTENT_", "wsgi."))
            if is_private or name in OF_THE_CONNECTION:
                environ[name] = value

    with inside.Call(app, change) as call:
        connection = http.client.HTTPConnection("127.0.0.1", inside.PORT, timeout=TIMEOUT)
        try:
            _send(connection, asked, call.number)
            response = connection.getresponse()
            body = response.read()
        except http.client.HTTPException:
            # The server broke the response off; the test wants to know why.
            if call.error is None:
                raise
        finally:
            connection.close()
        # A request that the server itself answered has no headers of the application.
        if call.headers and not call.closed.wait(TIMEOUT):
            raise RuntimeError("the server did not close the response")
        if call.error is not None:
            raise call.error
        sent = Headers((name, value) for name, value in response.getheaders() if name.lower() in call.headers)
        return [body] if body else [], f"{response.status} {response.reason}", sent


def _send(connection, environ, number):
    path = environ.get("SCRIPT_NAME", "").rstrip("/") + environ.get("PATH_INFO", "")
    # Also for a test without one: a request target starts with a slash, RFC 9112, section 3.2.1.
    path = path if path.startswith("/") else f"/{path}"
    target = quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~")
    if query := environ.get("QUERY_STRING"):
        target = f"{target}?{query}"
    connection.putrequest(environ.get("REQUEST_METHOD", "GET"), target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "localhost")
    connection.putheader(inside.HEADER, number)
    for name, value in environ.items():
        if name.startswith("HTTP_") and name not in ("HTTP_HOST", "HTTP_TRANSFER_ENCODING", "HTTP_CONNECTION"):
            connection.putheader(name.removeprefix("HTTP_").replace("_", "-").title(), str(value).encode("latin-1"))
    if kind := environ.get("CONTENT_TYPE"):
        connection.putheader("Content-Type", kind.encode("latin-1"))
    connection.putheader("Connection", "close")
    body = _body(environ)
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", ""):
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders((piece for piece in [body] if piece), encode_chunked=True)
        return
    if body or environ.get("CONTENT_LENGTH"):
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)


def _body(environ):
    stream = environ.get("wsgi.input")
    if stream is None:
        return b""
    if not hasattr(stream, "seekable") or not stream.seekable():
        return stream.read()
    # A redirect sends the body again: the position stays.
    start = stream.tell()
    try:
        return stream.read()
    finally:
        stream.seek(start)


werkzeug.test.run_wsgi_app = run_wsgi_app
