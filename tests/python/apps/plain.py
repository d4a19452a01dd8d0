"""An application without a framework, under the validator of the standard library."""

from wsgiref.validate import validator

import stderr

TEXT = [("Content-Type", "text/plain")]


def create_app():
    closed = []

    class Counted:
        """An iterator that counts how often it is closed."""

        def __init__(self, items):
            self.items = iter(items)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.items)

        def close(self):
            closed.append(True)

    def failing(items):
        yield from items
        raise RuntimeError("a plain failure")

    def app(environ, start_response):
        path, body = environ["PATH_INFO"], environ["wsgi.input"]
        if path == "/echo":
            start_response("200 OK", TEXT)
            return [body.read(-1)]
        if path == "/lines":
            start_response("200 OK", TEXT)
            parts = [body.readline(), body.readline(2), *body.readlines(1), body.read(1), *body]
            return [repr(parts).encode()]
        if path == "/none":
            start_response("204 No Content", [])
            return []
        if path == "/stream":
            start_response("200 OK", TEXT)
            return Counted([b"one ", b"", b"two ", b"three"])
        if path == "/generator":
            start_response("200 OK", TEXT)
            return (part for part in [b"one ", b"two"])
        if path == "/write":
            write = start_response("200 OK", TEXT)
            write(b"written, ")
            return [b"returned"]
        if path == "/error":
            raise RuntimeError("a plain failure")
        if path == "/late":
            start_response("200 OK", TEXT)
            return failing([b"begun"])
        if path == "/errors":
            environ["wsgi.errors"].write("a line")
            environ["wsgi.errors"].writelines(["another", "and another"])
            environ["wsgi.errors"].flush()
        if path == "/replaced":
            start_response("200 OK", TEXT)
            try:
                raise RuntimeError("a plain failure")
            except RuntimeError:
                import sys

                start_response("503 Service Unavailable", TEXT, sys.exc_info())
                return [b"replaced"]
        start_response("200 OK", TEXT)
        if path == "/closed":
            return [str(len(closed)).encode()]
        return [f"{environ['SCRIPT_NAME']}|{path}|{environ['QUERY_STRING']}".encode()]

    return validator(app)


def complaints(environ, start_response):
    """Answers with the text that was written to `sys.stderr`."""
    start_response("200 OK", TEXT)
    return [stderr.written().encode()]
