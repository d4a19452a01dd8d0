"""The application of application.rs, for servers that run Python."""

import hashlib

PART = 5


def read(stream, most=None):
    """Reads so many bytes, or all, of a stream that may give fewer than it is asked for."""
    pieces = []
    left = most
    while left is None or left > 0:
        piece = stream.read(65536 if left is None else left)
        if not piece:
            break
        pieces.append(piece)
        if left is not None:
            left -= len(piece)
    return b"".join(pieces)


def digest(body):
    return "%d:%s" % (len(body), hashlib.sha256(body).hexdigest()[:16])


def app(environ, start_response):
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace")
    query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
    if b"/skip/" in path or b"/async/" in path:
        body = "-"
    elif b"/part/" in path:
        body = digest(read(environ["wsgi.input"], PART))
    elif b"/fail/" in path:
        raise RuntimeError("the application fails, as asked")
    else:
        body = digest(read(environ["wsgi.input"]))
    saw = "%s %s %s %s" % (environ["REQUEST_METHOD"], path.hex(), query.hex(), body)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5"), ("X-Saw", saw)])
    # Not all servers leave out the body of an answer to HEAD.
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"seen\n"]
