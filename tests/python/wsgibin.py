"""The conformance application as a Python WSGI callable, `app`.

It is the twin of `examples/wsgibin.rs`: the last segment of the path selects a route, and each route shows one rule of
the contract on the wire, kept or broken on purpose. Both can be asked the same and have to answer alike. It needs the
standard library, and a server whose `wsgi.input` ends where the body does.

`app` keeps counters, which `/count?k=NAME` tells. Whoever needs fresh ones makes another `Wsgibin()`.
"""

import hashlib
import json
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import unquote

TEXT = ("Content-Type", "text/plain")
PIECE = 64 * 1024


class Failure(Exception):
    """What a route raises when it is asked to fail."""


class Panic(BaseException):
    """What a route raises when it is asked to panic: like a panic, no handler of ordinary errors catches it."""


class Counters:
    """Named counters that several threads increment at once."""

    def __init__(self):
        self._counts = Counter()
        self._lock = threading.Lock()

    def get(self, name):
        with self._lock:
            return self._counts[name]

    def add(self, name, amount=1):
        with self._lock:
            self._counts[name] += amount
            return self._counts[name]

    def raise_to(self, name, least):
        with self._lock:
            self._counts[name] = max(least, self._counts[name])


class Counted:
    """A body that increments `opened` when it is made and `closed` when it is closed."""

    def __init__(self, counters, pieces, failure_of_close=None):
        self._counters = counters
        self._pieces = pieces
        self._failure_of_close = failure_of_close
        counters.add("opened")

    def __iter__(self):
        return iter(self._pieces)

    def close(self):
        # A server that closes twice is counted twice, so that it is found out.
        self._counters.add("closed")
        if self._failure_of_close:
            raise self._failure_of_close("close fails, as asked")


class Call:
    """One call of the application: what came in, and the usual ways to answer."""

    def __init__(self, environ, start_response, counters):
        self.environ = environ
        self.input = environ["wsgi.input"]
        self.start_response = start_response
        self.counters = counters
        self._arguments = arguments(environ.get("QUERY_STRING", ""))

    def text(self, name):
        """A value of the query; empty if it is absent."""
        return self._arguments.get(name, "")

    def number(self, name, default):
        """A value of the query that has to be a number, if it is there."""
        text = self.text(name)
        # `int` alone would let signs, spaces and underscores pass.
        if text and not (text.isascii() and text.isdigit()):
            raise ValueError(f"{name} is no number: {text!r}")
        return int(text) if text else default

    def start(self, *headers, status="200 OK"):
        """Starts a response of plain text, with these headers besides."""
        return self.start_response(status, [TEXT, *headers])

    def answer(self, body, *headers, status="200 OK"):
        """Answers in one piece, with these headers and no other."""
        self.start_response(status, list(headers))
        return [body]

    def plain(self, body, *headers, status="200 OK"):
        """Answers in one piece of plain text, with these headers besides."""
        return self.answer(body, TEXT, *headers, status=status)

    def json(self, value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return self.answer(text.encode(), ("Content-Type", "application/json"))

    def failure(self):
        """The exception that `how` in the query selects."""
        if self.text("how") == "panic":
            return Panic("wsgibin panics, as asked")
        return Failure("wsgibin fails, as asked")


def arguments(query):
    """The names and values of a query. They are Latin-1, so that a request can give each value byte for byte."""
    found = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(unquote(name, "latin-1"), unquote(value, "latin-1"))
    return found


class Wsgibin:
    """The application, with counters of its own."""

    def __init__(self):
        self.counters = Counters()

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        segment = path.rpartition("/")[2]
        # Such a path may have any suffix, because the tests of the path read it.
        asks_for_environ = segment.startswith("env") or path.startswith("/env")
        route = env if asks_for_environ else ROUTES.get(segment, not_found)
        return route(Call(environ, start_response, self.counters))


app = Wsgibin()


def not_found(call):
    return call.plain(b"not found", status="404 Not Found")


def env(call):
    """JSON of every value that is text, a boolean or a whole number, and of the one pair that there always is."""
    values = {key: value for key, value in call.environ.items() if isinstance(value, (str, int))}
    return call.json(values | {"wsgi.version": call.environ["wsgi.version"]})


def ok(call):
    call.counters.add("ok")
    return call.plain(b"ok", ("Content-Length", "2"))


def smuggled(call):
    call.counters.add("smuggled")
    return not_found(call)


def errors(call):
    call.environ["wsgi.errors"].write("wsgibin-errors-line\n")
    return call.plain(b"ok")


def noread(call):
    call.counters.add("noread")
    return call.plain(b"ok")


def echo(call):
    call.counters.add("echo")
    call.start()
    # `read` waits until it has all that it was asked for. An input that can also give what has come so far lets
    # the echo go back while the rest is still on its way.
    read = getattr(call.input, "read1", call.input.read)
    return iter(lambda: read(PIECE), b"")


def sum_up(call):
    digest, total = hashlib.sha256(), 0
    try:
        while piece := call.input.read(PIECE):
            digest.update(piece)
            total += len(piece)
    except OSError:
        call.counters.add("sum_error")
        raise
    call.counters.add("sum_success")
    return call.json({"bytes": total, "sha256": digest.hexdigest()})


def read_as_asked(call):
    stream, size = call.input, call.number("n", -1)
    ways = {
        # The validator of the standard library refuses `read` without a size.
        "read": lambda: [stream.read(-1)],
        "read_n": lambda: iter(lambda: stream.read(size), b""),
        "readline": lambda: iter(lambda: stream.readline(size), b""),
        "readlines": lambda: stream.readlines(),
        "iter": lambda: stream,
        "mixed": lambda: [stream.readline(), stream.read(3), stream.readline(), stream.read(-1)],
    }
    read = ways.get(call.text("how"), ways["read"])
    return call.json([piece.decode("latin-1") for piece in read()])


def stream_as_asked(call):
    total, size = call.number("n", 0), max(1, call.number("chunk", PIECE))
    pause = call.number("ms", 0) / 1000
    call.start()

    def pieces():
        for start in range(0, total, size):
            yield b"x" * min(size, total - start)
            time.sleep(pause)

    return Counted(call.counters, pieces())


def one_piece(call):
    body = b"x" * call.number("n", 0)
    return call.plain(body, ("Content-Length", str(len(body))))


def big(call):
    call.start(("Content-Length", "10485760"))
    return Counted(call.counters, (b"x" * PIECE for _ in range(160)))


def write_and_return(call):
    write = call.start()
    write(b"A")
    write(b"B")
    return [b"C"]


def empty(call):
    call.start(("X-Empty", "1"))
    return []


def too_long_in_pieces(call):
    call.start(("Content-Length", "5"))
    return Counted(call.counters, [b"hel", b"loWO", b"RLD"])


def header_as_asked(call):
    length = [("Content-Length", "5")] if call.text("cl") == "1" else []
    return call.plain(b"hello", (call.text("name"), call.text("v")), *length)


def late(call):
    # As a generator, it starts the response only when its first piece is asked for.
    call.start(status="201 Created")
    yield b"late"


def empty_first(call):
    yield b""
    yield b""
    call.start(status="202 Accepted")
    yield b"body"
    yield b""
    yield b"!"


def twice(call):
    call.start()
    call.start(status="201 Created")
    return [b"x"]


def replace(call):
    call.start(("X-Old", "1"))
    start_again_because_of_trouble(call)
    return [b"replaced"]


def replace_late(call):
    call.start(("X-Old", "1"))

    def pieces():
        yield b"AAAA"
        start_again_because_of_trouble(call)
        yield b"BBBB"

    return pieces()


def start_again_because_of_trouble(call):
    """Replaces the response. If the head was sent, `start_response` raises the exception again."""
    try:
        raise Failure("wsgibin has trouble, as asked")
    except Failure:
        call.start_response("503 Service Unavailable", [TEXT], sys.exc_info())


def fail(call):
    raise call.failure()


def fail_when_started(call):
    call.start(("X-Old", "1"))
    raise call.failure()


def fail_between_pieces(call):
    length = [("Content-Length", "8")] if call.text("cl") == "1" else []
    call.start(*length)

    def pieces():
        yield b"AAAA"
        raise call.failure()

    return Counted(call.counters, pieces())


def fail_around_close(call):
    where = call.text("fail")
    failure_of_next = {"next": Failure, "next-and-drop": Panic}.get(where)
    failure_of_close = {"close": Failure, "drop-panic": Panic, "next-and-drop": Panic}.get(where)
    call.start()

    def pieces():
        yield b"A"
        if failure_of_next:
            raise failure_of_next("next fails, as asked")
        yield b"B"

    return Counted(call.counters, pieces(), failure_of_close)


def sleep(call):
    call.counters.add("sleep")
    call.counters.raise_to("running_max", call.counters.add("running"))
    try:
        time.sleep(call.number("ms", 0) / 1000)
    finally:
        call.counters.add("running", -1)
    return call.plain(b"ok")


def selfcall(call):
    """Asks its own server for `/ok`, and waits for the answer on a thread of the pool."""
    with closing(HTTPConnection("127.0.0.1", int(call.text("port")))) as connection:
        connection.request("GET", "/ok", headers={"Connection": "close"})
        return call.plain(connection.getresponse().read())


def disconnected(call):
    # Other servers have no such callable, so no disconnect is seen there.
    wait_for_disconnect = call.environ.get("gateway.wait_for_disconnect", lambda seconds: False)
    call.counters.add("saw_disconnect" if wait_for_disconnect(5) else "no_disconnect")
    return call.plain(b"ok")


ROUTES = {
    "ok": ok,
    "count": lambda call: call.plain(str(call.counters.get(call.text("k"))).encode()),
    "fast": lambda call: call.plain(b"ok"),
    "smuggled": smuggled,
    "errors": errors,
    "noread": noread,
    "echo": echo,
    "sum": sum_up,
    "read": read_as_asked,
    "stream": stream_as_asked,
    "bytes": one_piece,
    "big": big,
    "write": write_and_return,
    "empty": empty,
    "cl-over": lambda call: call.plain(b"helloWORLD", ("Content-Length", "5")),
    "cl-over-stream": too_long_in_pieces,
    "cl-under": lambda call: call.plain(b"hello", ("Content-Length", "10")),
    "cl-bad": lambda call: call.plain(b"hello", ("Content-Length", call.text("v"))),
    "status": lambda call: call.plain(b"ok", ("Content-Length", "2"), status=call.text("s")),
    "header": header_as_asked,
    "cookies": lambda call: call.plain(b"ok", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
    "s204": lambda call: call.answer(b"hello", ("Content-Length", "5"), status="204 No Content"),
    "s304": lambda call: call.answer(b"hello", ("ETag", '"v1"'), status="304 Not Modified"),
    "late": late,
    "empty-first": empty_first,
    "never": lambda call: [b"x"],
    "twice": twice,
    "replace": replace,
    "replace-late": replace_late,
    "raise": fail,
    "raise-started": fail_when_started,
    "raise-mid": fail_between_pieces,
    "close": fail_around_close,
    "sleep": sleep,
    "selfcall": selfcall,
    "stuck": lambda call: threading.Event().wait(),
    "disconnected": disconnected,
}
