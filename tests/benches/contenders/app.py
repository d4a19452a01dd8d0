"""The routes of wsgibin that the load scenarios need, for the other WSGI servers.

GET /count?k=NAME gives a counter; what the other routes do and count is what the routes of that name do in
examples/wsgibin.rs.
"""

import hashlib
import json
import threading
import time
from urllib.parse import parse_qs

COUNTS = {}
LOCK = threading.Lock()


def add(name, amount=1):
    with LOCK:
        COUNTS[name] = COUNTS.get(name, 0) + amount
        return COUNTS[name]


def raise_to(name, least):
    with LOCK:
        COUNTS[name] = max(least, COUNTS.get(name, 0))


class Counted:
    """A body that counts its creation and its close."""

    def __init__(self, chunks):
        self.chunks = chunks
        add("opened")

    def __iter__(self):
        return self.chunks

    def close(self):
        add("closed")


def pieces(total, size, pause):
    while total > 0:
        piece = min(size, total)
        total -= piece
        yield b"x" * piece
        time.sleep(pause)


def read_pieces(stream):
    while piece := stream.read(65536):
        yield piece


def app(environ, start_response):
    route = environ["PATH_INFO"].rsplit("/", 1)[-1]
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    text = ("Content-Type", "text/plain")

    def plain(body, status="200 OK"):
        body = body.encode()
        start_response(status, [text, ("Content-Length", str(len(body)))])
        return [body]

    if route == "fast":
        return plain("ok")
    if route == "ok":
        add("ok")
        return plain("ok")
    if route == "count":
        with LOCK:
            return plain(str(COUNTS.get(query.get("k", ""), 0)))
    if route == "sleep":
        add("sleep")
        raise_to("running_max", add("running"))
        try:
            time.sleep(int(query.get("ms", 0)) / 1000)
        finally:
            add("running", -1)
        return plain("ok")
    if route == "echo":
        add("echo")
        start_response("200 OK", [text])
        return read_pieces(environ["wsgi.input"])
    if route == "sum":
        hashed, total = hashlib.sha256(), 0
        for piece in read_pieces(environ["wsgi.input"]):
            hashed.update(piece)
            total += len(piece)
        add("sum_success")
        return plain(json.dumps({"bytes": total, "sha256": hashed.hexdigest()}))
    if route == "bytes":
        return plain("x" * int(query.get("n", 0)))
    if route == "stream":
        start_response("200 OK", [text])
        pause = int(query.get("ms", 0)) / 1000
        return Counted(pieces(int(query.get("n", 0)), int(query.get("chunk", 65536)), pause))
    if route == "raise":
        raise RuntimeError("the application fails, as asked")
    return plain("not found", "404 Not Found")
