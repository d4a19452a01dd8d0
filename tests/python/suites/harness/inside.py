"""A test suite in the interpreter of the server, for suites that make their applications themselves.

The server loads `application`. When it listens, a thread runs pytest; the plugin of the suite, in the same interpreter,
says which application a request is for: `default`, or that of a `Call`.
"""

import contextlib
import itertools
import json
import os
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

# The name of the header with the number of a call.
HEADER = "X-Suite-Call"
PORT = int(os.environ["SUITE_PORT"])
# Seconds until the server listens.
START = 60

# The application for requests that belong to no call.
default = None
_calls = {}
_numbers = itertools.count(1)
_requests = itertools.count()


class Call:
    """One request of a test for its own application: a client sends `HEADER` with the `number`."""

    def __init__(self, application, change):
        self._application = application
        # Called with the environ before the application is.
        self._change = change
        # The exception of the application, for the test.
        self.error = None
        # Set when the server has closed the response, which may be after the client has received it.
        self.closed = threading.Event()
        # The names of the application's headers, in lower case: a server adds others.
        self.headers = set()
        self.number = str(next(_numbers))

    def __enter__(self):
        _calls[self.number] = self
        return self

    def __exit__(self, *_):
        del _calls[self.number]

    @contextlib.contextmanager
    def noted(self):
        try:
            yield
        except BaseException as error:
            self.error = error
            raise

    def respond(self, environ, start_response):
        def start(status, headers, *exc_info):
            self.headers = {name.lower() for name, _ in headers}
            return start_response(status, headers, *exc_info)

        try:
            with self.noted():
                self._change(environ)
                return Response(self, self._application(environ, start))
        except BaseException:
            # There is no response to close.
            self.closed.set()
            raise


class Response:
    """The iterable of an application, with its exceptions noted."""

    def __init__(self, call, iterable):
        self._call = call
        self._whole = iterable
        self._iterator = iter(iterable)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except BaseException as error:
            self._call.error = error
            raise

    def close(self):
        try:
            with self._call.noted():
                if hasattr(self._whole, "close"):
                    self._whole.close()
        finally:
            self._call.closed.set()


def application(environ, start_response):
    next(_requests)
    call = _calls.get(environ.pop(f"HTTP_{HEADER.upper().replace('-', '_')}", None))
    if call is not None:
        return call.respond(environ, start_response)
    return default(environ, start_response)


def _listens():
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), 1):
        return True
    return False


def _run():
    """Runs pytest with `SUITE_ARGUMENTS`, and writes the number of requests into `SUITE_DONE` at its end."""
    try:
        deadline = time.monotonic() + START
        while not _listens() and time.monotonic() < deadline:
            time.sleep(0.05)
        import pytest

        pytest.main(json.loads(os.environ["SUITE_ARGUMENTS"]))
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        Path(os.environ["SUITE_DONE"]).write_text(str(next(_requests)))


# The thread of the tests.
THREAD = threading.Thread(target=_run, name="suite", daemon=True)
THREAD.start()
