"""The application in Falcon."""

import falcon

application = falcon.App()


class Json:
    def on_post(self, request, response):
        response.media = {"received": request.get_media()}


class Raw:
    def on_post(self, request, response):
        response.content_type = "application/octet-stream"
        response.data = request.bounded_stream.read()


class Form:
    def on_post(self, request, response):
        response.media = {"fields": request.get_media()}


class Upload:
    def on_post(self, request, response):
        for part in request.get_media():
            response.media = {"name": part.filename, "size": len(part.stream.read())}


class Hello:
    def on_get(self, request, response, name):
        response.media = {"name": name, "query": request.get_param("q", default="")}


class Lines:
    def on_get(self, request, response):
        response.content_type = "text/plain; charset=utf-8"
        response.stream = (f"{number} ä\n".encode() for number in range(1000))


class Cookies:
    def on_get(self, request, response):
        response.set_cookie("first", "1", secure=False)
        response.set_cookie("second", "2", secure=False)
        response.media = {"sent": request.cookies}


class Teapot:
    def on_get(self, request, response):
        raise falcon.HTTPError(falcon.HTTP_418, title="short and stout")


class Fail:
    def on_get(self, request, response):
        raise RuntimeError("meant to fail")


for path, resource in {
    "/json": Json,
    "/raw": Raw,
    "/form": Form,
    "/upload": Upload,
    "/hello/{name}": Hello,
    "/lines": Lines,
    "/cookies": Cookies,
    "/teapot": Teapot,
    "/fail": Fail,
}.items():
    application.add_route(path, resource())
