"""The application in web.py."""

import json

import web


def answer(value):
    web.header("Content-Type", "application/json")
    return json.dumps(value)


class Json:
    def POST(self):
        return answer({"received": json.loads(web.data())})


class Raw:
    def POST(self):
        web.header("Content-Type", "application/octet-stream")
        return web.data()


class Form:
    def POST(self):
        return answer({"fields": dict(web.input())})


class Upload:
    def POST(self):
        uploaded = web.input(file={})["file"]
        return answer({"name": uploaded.filename, "size": len(uploaded.file.read())})


class Hello:
    def GET(self, name):
        return answer({"name": name, "query": web.input(q="").q})


class Lines:
    def GET(self):
        web.header("Content-Type", "text/plain; charset=utf-8")
        for number in range(1000):
            yield f"{number} ä\n".encode()


class Cookies:
    def GET(self):
        web.setcookie("first", "1")
        web.setcookie("second", "2")
        return answer({"sent": dict(web.cookies())})


class Teapot:
    def GET(self):
        raise web.HTTPError("418 I'm a teapot", {"Content-Type": "text/plain"}, "short and stout")


class Fail:
    def GET(self):
        raise RuntimeError("meant to fail")


web.config.debug = False
application = web.application(
    (
        "/json", Json, "/raw", Raw, "/form", Form, "/upload", Upload, "/hello/(.*)", Hello, "/lines", Lines,
        "/cookies", Cookies, "/teapot", Teapot, "/fail", Fail,
    )
).wsgifunc()  # fmt: skip
