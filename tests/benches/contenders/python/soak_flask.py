"""What the soak asks of Flask: a page, a form with a file, failures, and a stream without an end."""

from flask import Flask, Response, render_template_string, request, session

PAGE = "<h1>{{ title }}</h1>{% for number in numbers %}<p>{{ number }}</p>{% endfor %}"

app = Flask(__name__)
app.config.update(SECRET_KEY="not much of a secret")


@app.get("/page")
def page():
    session["visits"] = session.get("visits", 0) + 1
    return render_template_string(PAGE, title=request.args.get("title", "soak"), numbers=range(20))


@app.post("/upload")
def upload():
    return str(sum(len(line) for line in request.files["file"].stream))


@app.get("/crash")
def crash():
    raise RuntimeError("a failure, as asked")


@app.get("/break")
def cut():
    def rows():
        yield "begun"
        raise RuntimeError("a failure, as asked")

    return Response(rows())


@app.get("/endless")
def endless():
    def rows():
        while True:
            yield "x" * 10_000

    return Response(rows())
