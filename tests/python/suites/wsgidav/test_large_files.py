"""Files of 40 MB, and with names that are not ASCII."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

URL = os.environ["SUITE_URL"]
SHARED = Path(os.environ["SUITE_SHARED"])
SIZE = 40 * 1000 * 1000
BLOCK = bytes(range(251)) * 400
TIMEOUT = 60


def content():
    whole, rest = divmod(SIZE, len(BLOCK))
    return BLOCK * whole + BLOCK[:rest]


def pieces():
    data = content()
    for start in range(0, SIZE, 100_000):
        yield data[start : start + 100_000]


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["plain.bin", "Übergrößenträger 漢字.bin"])
@pytest.mark.parametrize("body", [content, pieces], ids=["known", "chunked"])
def test_a_large_file_comes_back_as_it_was_sent(name, body):
    url = f"{URL}/{quote(name)}"
    assert requests.put(url, data=body(), timeout=TIMEOUT).status_code in (201, 204)
    assert digest((SHARED / name).read_bytes()) == digest(content())
    received = requests.get(url, timeout=TIMEOUT)
    assert received.status_code == 200
    assert int(received.headers["Content-Length"]) == SIZE
    assert digest(received.content) == digest(content())


def test_a_part_of_a_large_file():
    (SHARED / "part.bin").write_bytes(content())
    received = requests.get(f"{URL}/part.bin", headers={"Range": "bytes=30000000-30099999"}, timeout=TIMEOUT)
    assert received.status_code == 206
    assert received.headers["Content-Range"] == f"bytes 30000000-30099999/{SIZE}"
    assert received.content == content()[30_000_000:30_100_000]


def test_a_copy_of_a_large_file():
    (SHARED / "original.bin").write_bytes(content())
    headers = {"Destination": f"{URL}/copy.bin"}
    assert requests.request("COPY", f"{URL}/original.bin", headers=headers, timeout=TIMEOUT).status_code == 201
    assert digest((SHARED / "copy.bin").read_bytes()) == digest(content())


def test_a_head_request_has_the_length():
    (SHARED / "head.bin").write_bytes(content())
    received = requests.head(f"{URL}/head.bin", timeout=TIMEOUT)
    assert (received.status_code, int(received.headers["Content-Length"])) == (200, SIZE)


def test_a_connection_is_usable_after_a_large_upload():
    with requests.Session() as session:
        for number in range(3):
            assert session.put(f"{URL}/again.bin", data=content(), timeout=TIMEOUT).status_code in (201, 204)
            listed = session.request("PROPFIND", f"{URL}/again.bin", headers={"Depth": "0"}, timeout=TIMEOUT)
            assert listed.status_code == 207, number
            assert str(SIZE) in listed.text
