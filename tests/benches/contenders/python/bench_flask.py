"""The work of the python bench that takes Flask."""

from flask import Flask

app = Flask(__name__)


@app.get("/hello")
def hello():
    return "Hello, world!"
