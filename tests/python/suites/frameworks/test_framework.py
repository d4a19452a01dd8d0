"""What a client expects of the application, whatever its framework."""

import http.client
import json
import os
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest
import requests

URL = os.environ["SUITE_URL"]
TIMEOUT = 30
SMALL = {"text": "Größe 漢字", "numbers": [1, 2.5, None, True]}
LARGE = {"text": ["ä" * 1000] * 1000}


def known(data, size):
    return data


def chunked(data, size):
    return (data[start : start + size] for start in range(0, len(data), size))


def post(path, data, kind, **options):
    return requests.post(f"{URL}{path}", data=data, headers={"Content-Type": kind}, timeout=TIMEOUT, **options)


@pytest.mark.parametrize("value", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("send", [known, chunked])
def test_json_comes_back(value, send):
    answer = post("/json", send(json.dumps(value).encode(), 1000), "application/json")
    assert (answer.status_code, answer.json()) == (200, {"received": value})


def test_json_in_chunks_of_one_byte():
    answer = post("/json", chunked(json.dumps(SMALL).encode(), 1), "application/json")
    assert (answer.status_code, answer.json()) == (200, {"received": SMALL})


@pytest.mark.parametrize("send", [known, chunked])
def test_bytes_come_back(send):
    data = bytes(range(256)) * 400
    answer = post("/raw", send(data, 777), "application/octet-stream")
    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("send", [known, chunked])
def test_a_form_comes_back(send):
    body = f"titel={quote('Größe & mehr')}&leer=".encode()
    answer = post("/form", send(body, 5), "application/x-www-form-urlencoded")
    fields = answer.json()["fields"]
    # Some frameworks leave out an empty field.
    assert (answer.status_code, fields["titel"], fields.get("leer", "")) == (200, "Größe & mehr", "")


@pytest.mark.parametrize("send", [known, chunked])
def test_an_upload(send):
    body = (
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="data.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + b"x" * 300_000 + b"\r\n--cut--\r\n"
    )
    answer = post("/upload", send(body, 4096), "multipart/form-data; boundary=cut")
    assert (answer.status_code, answer.json()) == (200, {"name": "data.bin", "size": 300_000})


def test_a_name_in_the_path():
    answer = requests.get(f"{URL}/hello/{quote('Jürgen 漢')}?q={quote('ä&b')}", timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (200, {"name": "Jürgen 漢", "query": "ä&b"})


def test_a_stream():
    answer = requests.get(f"{URL}/lines", timeout=TIMEOUT)
    assert answer.content.decode() == "".join(f"{number} ä\n" for number in range(1000))


def test_cookies():
    answer = requests.get(f"{URL}/cookies", cookies={"a": "1", "b": "2"}, timeout=TIMEOUT)
    assert answer.json() == {"sent": {"a": "1", "b": "2"}}
    assert {cookie.name: cookie.value for cookie in answer.cookies} == {"first": "1", "second": "2"}


def test_an_error_page():
    assert requests.get(f"{URL}/teapot", timeout=TIMEOUT).status_code == 418


def test_a_missing_page():
    assert requests.get(f"{URL}/missing", timeout=TIMEOUT).status_code == 404


def test_an_exception():
    assert requests.get(f"{URL}/fail", timeout=TIMEOUT).status_code == 500
    assert requests.get(f"{URL}/hello/again", timeout=TIMEOUT).status_code == 200


def test_requests_on_one_connection():
    connection = http.client.HTTPConnection(urlsplit(URL).netloc, timeout=TIMEOUT)
    try:
        for number in range(5):
            headers = {"Content-Type": "application/json"}
            body = iter([b'{"number"', b": ", str(number).encode(), b"}"])
            connection.request("POST", "/json", body=body, headers=headers, encode_chunked=True)
            response = connection.getresponse()
            assert json.loads(response.read()) == {"received": {"number": number}}
    finally:
        connection.close()


def test_many_clients_at_once():
    def ask(number):
        return post("/json", chunked(json.dumps({"number": number}).encode(), 3), "application/json").json()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [{"received": {"number": number}} for number in range(40)]
