"""The application in Pyramid."""

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPException
from pyramid.response import Response


class Teapot(HTTPException):
    code = 418
    title = "I'm a teapot"


def json(request):
    return {"received": request.json_body}


def raw(request):
    return Response(request.body, content_type="application/octet-stream")


def form(request):
    return {"fields": dict(request.POST)}


def upload(request):
    uploaded = request.POST["file"]
    return {"name": uploaded.filename, "size": len(uploaded.file.read())}


def hello(request):
    return {"name": request.matchdict["name"], "query": request.params.get("q", "")}


def lines(request):
    pieces = (f"{number} ä\n".encode() for number in range(1000))
    return Response(app_iter=pieces, content_type="text/plain", charset="utf-8")


def cookies(request):
    request.response.set_cookie("first", "1")
    request.response.set_cookie("second", "2")
    return {"sent": dict(request.cookies)}


def teapot(request):
    raise Teapot("short and stout")


def fail(request):
    raise RuntimeError("meant to fail")


with Configurator() as configuration:
    for name, view in {"json": json, "raw": raw, "form": form, "upload": upload}.items():
        configuration.add_route(name, f"/{name}", request_method="POST")
        configuration.add_view(view, route_name=name, renderer="json")
    for name, view in {"lines": lines, "cookies": cookies, "teapot": teapot, "fail": fail}.items():
        configuration.add_route(name, f"/{name}")
        configuration.add_view(view, route_name=name, renderer="json")
    configuration.add_route("hello", "/hello/{name}")
    configuration.add_view(hello, route_name="hello", renderer="json")
    application = configuration.make_wsgi_app()
