"""The work of the python bench, as plain WSGI. Each response has its length, as a framework's has."""

import time

TEXT = ("Content-Type", "text/plain; charset=utf-8")
HELLO = b"Hello, world!"
BODY = b"x" * 10240
PAUSE = 0.05


def known(start_response, body):
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def hello(environ, start_response):
    return known(start_response, HELLO)


def body(environ, start_response):
    return known(start_response, BODY)


def echo(environ, start_response):
    return known(start_response, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def sleep(environ, start_response):
    time.sleep(PAUSE)
    return known(start_response, HELLO)


ROUTES = {"/hello": hello, "/body": body, "/echo": echo, "/sleep": sleep}


def app(environ, start_response):
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
