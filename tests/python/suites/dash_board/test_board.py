"""What a browser asks of the page."""

import base64
import os
import re
from concurrent.futures import ThreadPoolExecutor

import requests

URL = os.environ["SUITE_URL"]
TIMEOUT = 60


def callback(output, changed, *inputs, state=()):
    identifier, property_ = output
    return requests.post(
        f"{URL}/_dash-update-component",
        json={
            "output": f"{identifier}.{property_}",
            "outputs": {"id": identifier, "property": property_},
            "changedPropIds": [changed],
            "inputs": list(inputs),
            "state": list(state),
        },
        timeout=TIMEOUT,
    )


def greeting(name):
    return callback(("greeting", "children"), "name.value", {"id": "name", "property": "value", "value": name})


def test_the_page():
    answer = requests.get(f"{URL}/", timeout=TIMEOUT)
    assert answer.status_code == 200
    assert "<title>Übersicht</title>" in answer.content.decode()


def test_each_script_of_the_page_is_there():
    scripts = re.findall(r'<script src="([^"]+)"', requests.get(f"{URL}/", timeout=TIMEOUT).text)
    assert len(scripts) > 3
    for script in scripts:
        answer = requests.get(f"{URL}{script}", timeout=TIMEOUT)
        assert (answer.status_code, int(answer.headers.get("Content-Length", len(answer.content)))) == (
            200,
            len(answer.content),
        ), script


def test_a_script_is_cached():
    [script] = re.findall(r'<script src="([^"]+dash_renderer[^"]+)"', requests.get(f"{URL}/", timeout=TIMEOUT).text)
    first = requests.get(f"{URL}{script}", timeout=TIMEOUT)
    assert "max-age" in first.headers["Cache-Control"] or "ETag" in first.headers
    again = requests.get(f"{URL}{script}", headers={"If-None-Match": first.headers.get("ETag", "-")}, timeout=TIMEOUT)
    assert again.status_code == (304 if "ETag" in first.headers else 200)


def test_the_layout():
    layout = requests.get(f"{URL}/_dash-layout", timeout=TIMEOUT).json()
    assert layout["props"]["children"][0]["props"]["children"] == "Größen"


def test_the_dependencies():
    outputs = [found["output"] for found in requests.get(f"{URL}/_dash-dependencies", timeout=TIMEOUT).json()]
    assert sorted(outputs) == ["file.data", "greeting.children"]


def test_a_callback():
    answer = greeting("Ärger")
    assert answer.json()["response"] == {"greeting": {"children": "Grüße, Ärger"}}


def test_a_callback_without_an_update():
    answer = greeting("nobody")
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_download():
    answer = callback(
        ("file", "data"),
        "send.n_clicks",
        {"id": "send", "property": "n_clicks", "value": 3},
        state=[{"id": "name", "property": "value", "value": "Jürgen"}],
    )
    data = answer.json()["response"]["file"]["data"]
    assert data["filename"] == "größe.txt"
    assert base64.b64decode(data["content"]) == "Jürgen 3".encode() * 10_000


def test_callbacks_at_the_same_time():
    def ask(number):
        return greeting(str(number)).json()["response"]["greeting"]["children"]

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(ask, range(40)))
    assert texts == [f"Grüße, {number}" for number in range(40)]
