"""The application in Bottle."""

from bottle import BaseRequest, Bottle, HTTPError, request, response

# The default is less than the largest JSON of the tests.
BaseRequest.MEMFILE_MAX = 10_000_000
application = Bottle()


@application.post("/json")
def json():
    return {"received": request.json}


@application.post("/raw")
def raw():
    response.content_type = "application/octet-stream"
    return request.body.read()


@application.post("/form")
def form():
    return {"fields": {name: request.forms.getunicode(name) for name in request.forms}}


@application.post("/upload")
def upload():
    uploaded = request.files.file
    return {"name": uploaded.raw_filename, "size": len(uploaded.file.read())}


@application.get("/hello/<name>")
def hello(name):
    return {"name": name, "query": request.query.getunicode("q", "")}


@application.get("/lines")
def lines():
    response.content_type = "text/plain; charset=UTF-8"
    for number in range(1000):
        yield f"{number} ä\n"


@application.get("/cookies")
def cookies():
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return {"sent": dict(request.cookies)}


@application.get("/teapot")
def teapot():
    raise HTTPError(418, "short and stout")


@application.get("/fail")
def fail():
    raise RuntimeError("meant to fail")
