"""A small application of Flask's."""

import hashlib
import threading
from wsgiref.validate import validator

import flask
from flask import Flask, abort, redirect, request, session, url_for

import stderr  # noqa: F401  What Flask has to say belongs to the complaints, too.

PAGE = "<h1>{{ title }}</h1>{% for item in items %}<p>{{ loop.index }} {{ item }}</p>{% endfor %}"
ITEMS = ["lamp", "chair & table"]


def digest(stream):
    """The size and the hash of what a stream holds, read in pieces."""
    size, sha256 = 0, hashlib.sha256()
    while piece := stream.read(64 * 1024):
        size += len(piece)
        sha256.update(piece)
    return f"{size} {sha256.hexdigest()}"


def create_app(**config):
    app = Flask(__name__)
    app.config.update(SECRET_KEY="not much of a secret", **config)
    state = {"closed": 0, "torn down": 0, "left": False}
    go_on = threading.Event()

    @app.teardown_request
    def count(_):
        state["torn down"] += 1

    @app.get("/")
    def index():
        return flask.render_template_string(PAGE, title=request.args.get("title", "Shop"), items=ITEMS)

    @app.get("/items/<int:number>/")
    def item(number):
        return ITEMS[number] if number < len(ITEMS) else abort(404)

    @app.get("/names/<name>")
    def name(name):
        return {"name": name, "query": request.args.getlist("q"), "host": request.host, "remote": request.remote_addr}

    @app.post("/form")
    def form():
        return {"form": request.form.to_dict(flat=False), "type": request.mimetype}

    @app.post("/upload")
    def upload():
        file = request.files["file"]
        return f"{request.form['title']} {file.filename} {file.mimetype} {digest(file.stream)}"

    @app.route("/raw", methods=["POST", "PUT"])
    def raw():
        return f"{request.content_length} {digest(request.stream)}"

    @app.post("/json")
    def json():
        return flask.jsonify(request.get_json())

    @app.get("/none")
    def none():
        response = flask.Response(status=204)
        del response.headers["Content-Type"]
        return response

    @app.get("/stream")
    def stream():
        def rows():
            yield f"title: {request.args['title']}\n"
            yield ""
            assert go_on.wait(60)
            yield "done\n"

        response = flask.Response(flask.stream_with_context(rows()), mimetype="text/plain")
        response.call_on_close(lambda: state.update(closed=state["closed"] + 1))
        return response

    @app.get("/go-on")
    def release():
        go_on.set()
        return ""

    @app.get("/endless")
    def endless():
        def rows():
            try:
                while True:
                    yield "x" * 1024
            finally:
                state["left"] = True

        return flask.Response(rows())

    @app.get("/state")
    def tell():
        return state

    @app.get("/source")
    def source():
        return flask.send_file(__file__, mimetype="text/x-python", conditional=True, download_name="shop.py")

    @app.post("/login")
    def login():
        session["user"] = request.form["user"]
        response = redirect(url_for("me"))
        response.set_cookie("seen", "yes", path=url_for("index"))
        return response

    @app.get("/me")
    def me():
        return f"{session.get('user', 'nobody')} {request.cookies.get('seen', 'no')}"

    @app.get("/logout")
    def logout():
        session.clear()
        return redirect(url_for("me", _external=True))

    @app.get("/slow")
    async def slow():
        return "from a coroutine"

    @app.get("/crash")
    def crash():
        raise RuntimeError("a secret of the shop")

    @app.get("/crash-late")
    def crash_late():
        def rows():
            yield "begun"
            raise RuntimeError("a secret of the shop")

        return flask.Response(rows())

    return app


def validated():
    """Under the validator, which has `read` called with a size, as Flask does where it knows a limit."""
    return validator(create_app(MAX_CONTENT_LENGTH=1 << 20))


def propagating():
    """An application that does not catch its exceptions."""
    return create_app(PROPAGATE_EXCEPTIONS=True)
