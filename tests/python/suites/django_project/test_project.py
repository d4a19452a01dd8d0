"""What a browser does with the project."""

import gzip
import hashlib
import http.client
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests

URL = os.environ["SUITE_URL"]
FOLDER = Path(os.environ["SUITE_FOLDER"])
TIMEOUT = 30
NAME = "Übersicht 漢字 €.txt"


class Browser(requests.Session):
    """A session with paths for URLs, a timeout, and Django's CSRF token in each form."""

    def request(self, method, path, **options):
        options.setdefault("timeout", TIMEOUT)
        return super().request(method, path if path.startswith("http") else f"{URL}{path}", **options)

    def submit(self, path, fields, **options):
        self.get(path).raise_for_status()
        fields = {**fields, "csrfmiddlewaretoken": self.cookies["csrftoken"]}
        return self.post(path, data=fields, headers={"Referer": f"{URL}{path}"}, **options)


@pytest.fixture
def browser():
    with Browser() as session:
        yield session


@pytest.fixture
def admin(browser):
    done = browser.submit("/admin/login/", {"username": "root", "password": "geheim", "next": "/admin/"})
    assert done.status_code == 200 and done.url == f"{URL}/admin/", done.url
    return browser


def raw(method, target, body=None, headers=()):
    """A request that no library changes: its status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(URL).netloc, timeout=TIMEOUT)
    try:
        connection.request(method, target, body=body, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_the_admin_wants_a_login(browser):
    answer = browser.get("/admin/", allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/login/?next=/admin/"


def test_a_wrong_password_is_refused(browser):
    answer = browser.submit("/admin/login/", {"username": "root", "password": "falsch", "next": "/admin/"})
    assert answer.status_code == 200
    assert "Please enter the correct username and password" in answer.text


def test_the_admin_adds_changes_and_deletes(admin):
    added = admin.submit("/admin/project/article/add/", {"name": "Größe <b>", "stock": "7"})
    assert "was added successfully" in added.text and "Größe &lt;b&gt;" in added.text
    found = admin.get("/admin/project/article/", params={"q": "Größe"})
    [number] = re.findall(r"/admin/project/article/(\d+)/change/", found.text)
    changed = admin.submit(f"/admin/project/article/{number}/change/", {"name": "Kleinigkeit", "stock": "8"})
    assert "was changed successfully" in changed.text
    deleted = admin.submit(f"/admin/project/article/{number}/delete/", {"post": "yes"})
    assert "was deleted successfully" in deleted.text


def test_the_admin_stores_a_picture_with_its_name(admin):
    files = {"picture": ("Bild ä.png", b"\x89PNG", "image/png")}
    added = admin.submit("/admin/project/article/add/", {"name": "Bild", "stock": "1"}, files=files)
    assert "was added successfully" in added.text
    assert (FOLDER / "media" / "pictures" / "Bild_ä.png").read_bytes() == b"\x89PNG"


def test_the_admin_is_translated(admin):
    answer = admin.get("/admin/", headers={"Accept-Language": "de"})
    assert answer.headers["Content-Language"] == "de"
    assert "Abmelden" in answer.text


def test_a_logout_ends_the_session(admin):
    fields = {"csrfmiddlewaretoken": admin.cookies["csrftoken"]}
    assert admin.post("/admin/logout/", data=fields, headers={"Referer": f"{URL}/admin/"}).status_code == 200
    assert admin.get("/admin/", allow_redirects=False).status_code == 302


def test_a_form_without_a_token_is_refused(browser):
    assert browser.post("/admin/login/", data={"username": "root", "password": "geheim"}).status_code == 403


def stylesheet():
    manifest = json.loads((FOLDER / "static" / "staticfiles.json").read_text())
    return manifest["paths"]["admin/css/base.css"]


def test_whitenoise_sends_a_hashed_file_for_ever():
    status, headers, body = raw("GET", f"/static/{stylesheet()}")
    assert status == 200
    assert "immutable" in headers["Cache-Control"]
    assert headers["Content-Type"].startswith("text/css")
    assert body == (FOLDER / "static" / stylesheet()).read_bytes()


def test_whitenoise_sends_the_compressed_file():
    status, headers, body = raw("GET", f"/static/{stylesheet()}", headers={"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert int(headers["Content-Length"]) == len(body)
    assert gzip.decompress(body) == (FOLDER / "static" / stylesheet()).read_bytes()


def test_whitenoise_knows_what_the_browser_has():
    _, headers, _ = raw("GET", "/static/admin/css/base.css")
    condition = {"If-Modified-Since": headers["Last-Modified"]}
    status, headers, body = raw("GET", "/static/admin/css/base.css", headers=condition)
    assert (status, body) == (304, b"")


def test_whitenoise_sends_a_range():
    status, headers, body = raw("GET", f"/static/{stylesheet()}", headers={"Range": "bytes=10-19"})
    whole = (FOLDER / "static" / stylesheet()).read_bytes()
    assert (status, body) == (206, whole[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(whole)}"


def test_whitenoise_answers_head():
    status, headers, body = raw("HEAD", f"/static/{stylesheet()}")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == (FOLDER / "static" / stylesheet()).stat().st_size


def test_a_missing_static_file_is_not_found():
    assert raw("GET", "/static/missing.css")[0] == 404


def test_a_session_counts(browser):
    assert [browser.get("/count/").text for _ in range(3)] == ["1", "2", "3"]


def test_sessions_are_separate():
    def visits(_):
        with Browser() as browser:
            return [browser.get("/count/").text for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(visits, range(8))) == [["1", "2", "3"]] * 8


@pytest.mark.parametrize(
    ("language", "word"), [("de", "Ja"), ("ja", "はい"), ("fr", "Yes"), ("de-AT,en;q=0.5", "Ja")]
)
def test_the_browser_names_its_language(browser, language, word):
    assert browser.get("/greeting/", headers={"Accept-Language": language}).json()["yes"] == word


def test_the_visitor_selects_a_language(browser):
    browser.get("/admin/login/").raise_for_status()
    fields = {"language": "ja", "next": "/greeting/", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    answer = browser.post("/i18n/setlang/", data=fields, headers={"Referer": f"{URL}/admin/login/"})
    assert answer.json() == {"language": "ja", "yes": "はい"}


def test_each_thread_has_its_language():
    words = {"de": "Ja", "ja": "はい", "en": "Yes"}

    def ask(language):
        return requests.get(f"{URL}/greeting/", headers={"Accept-Language": language}, timeout=TIMEOUT).json()["yes"]

    languages = list(words) * 10
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, languages)) == [words[language] for language in languages]


def multipart(disposition, content):
    head = f'--cut\r\nContent-Disposition: form-data; name="file"; {disposition}\r\n\r\n'
    return head.encode() + content + b"\r\n--cut--\r\n"


@pytest.mark.parametrize(
    "disposition",
    [f'filename="{NAME}"', f"filename*=UTF-8''{quote(NAME)}"],
    ids=["as browsers do", "as in RFC 5987"],
)
def test_an_upload_keeps_its_name(disposition):
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    status, _, body = raw("POST", "/upload/", multipart(disposition, b"text"), headers)
    [stored] = json.loads(body)["files"]
    assert (status, stored["name"], stored["size"]) == (200, NAME, 4)


def test_a_large_upload(browser):
    content = os.urandom(1000) * 20_000
    files = {"file": (NAME, content), "other": ("small.txt", b"small")}
    answer = browser.post("/upload/", files=files, data={"Titel": "Größe"})
    assert answer.status_code == 200
    first, second = answer.json()["files"]
    assert (first["size"], first["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (second["name"], answer.json()["fields"]) == ("small.txt", {"Titel": "Größe"})


def test_a_large_form_is_refused(browser):
    assert browser.post("/upload/", data={"a": "b" * 2_000_000}).status_code == 400


def test_a_chunked_upload(browser):
    body = multipart('filename="chunked.txt"', b"0123456789" * 10_000)
    pieces = (body[start : start + 999] for start in range(0, len(body), 999))
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    [stored] = browser.post("/upload/", data=pieces, headers=headers).json()["files"]
    assert stored["size"] == 100_000


def test_a_download_has_its_name(browser):
    (FOLDER / "media").mkdir(exist_ok=True)
    (FOLDER / "media" / NAME).write_bytes(b"content" * 100_000)
    answer = browser.get(f"/files/{quote(NAME)}", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Disposition"] == f"attachment; filename*=utf-8''{quote(NAME)}"
    assert answer.headers["Content-Length"] == "700000"
    assert answer.content == b"content" * 100_000


@pytest.mark.parametrize("title", ["Größe", "漢字", "a b", "a%2Fb", "50%", "ü;v=1", "tab\tstop"])
def test_a_title_in_the_path(title):
    status, _, body = raw("GET", f"/pages/{quote(title, safe='')}/?q={quote(title)}&leer=&plus=a+b")
    seen = json.loads(body)
    assert (status, seen["title"]) == (200, title)
    assert seen["query"] == {"q": title, "leer": "", "plus": "a b"}


def test_a_missing_slash_is_added(browser):
    answer = browser.get("/pages/x?y=1", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, "/pages/x/?y=1")


def test_no_update_is_lost(admin):
    admin.submit("/admin/project/article/add/", {"name": "Zähler", "stock": "0"})
    found = admin.get("/admin/project/article/", params={"q": "Zähler"}).text
    [number] = re.findall(r"/admin/project/article/(\d+)/change/", found)
    with ThreadPoolExecutor(8) as pool:
        added = pool.map(lambda _: requests.post(f"{URL}/stock/{number}/add", timeout=TIMEOUT).status_code, range(40))
        assert set(added) == {204}
    page = admin.get(f"/admin/project/article/{number}/change/").text
    assert re.search(r'name="stock" value="40"', page)


def test_an_async_view(browser):
    assert browser.get("/async/").json() == {"doubled": [0, 2, 4, 6, 8]}


def test_an_async_view_with_the_database(browser):
    assert "Tür" in browser.get("/async/articles/").json()["names"]


def test_async_views_at_the_same_time():
    def ask(_):
        return requests.get(f"{URL}/async/", timeout=TIMEOUT).json()["doubled"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [[0, 2, 4, 6, 8]] * 40


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_streamed_response(encoding):
    status, headers, body = raw("GET", "/lines/", headers={"Accept-Encoding": encoding})
    body = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
    assert status == 200
    assert body.decode() == "".join(f"Zeile {number} ä\n" for number in range(1000))


def test_an_async_streamed_response(browser):
    assert browser.get("/async/lines/").text == "".join(f"{number}\n" for number in range(100))


def test_a_page_is_compressed():
    status, headers, body = raw("GET", "/admin/login/", headers={"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert b"csrfmiddlewaretoken" in gzip.decompress(body)


@pytest.mark.parametrize("body", [b"", b"x", "Größe".encode(), bytes(range(256)) * 2000])
def test_a_body_comes_back(browser, body):
    answer = browser.post("/echo/", data=body, headers={"Content-Type": "application/octet-stream"})
    assert (answer.status_code, answer.content) == (200, body)


def test_the_entity_tag_of_a_page(browser):
    tag = browser.get("/where/").headers["ETag"]
    assert browser.get("/where/", headers={"If-None-Match": tag}).status_code == 304


def test_cookies(browser):
    answer = browser.get("/cookies/", headers={"Cookie": 'a=1; b="zwei drei"; third=3'})
    assert answer.json() == {"a": "1", "b": "zwei drei", "third": "3"}
    assert {cookie.name: cookie.value for cookie in answer.cookies} == {"first": "1", "second": "zwei"}
    assert answer.headers["Set-Cookie"].count("Path=/") == 3


def test_an_exception_is_a_page(browser):
    answer = browser.get("/fail/")
    assert answer.status_code == 500
    assert "Server Error (500)" in answer.text
    assert browser.get("/where/").status_code == 200


def test_another_host_is_refused():
    assert raw("GET", "/where/", headers={"Host": "evil.example.org"})[0] == 400


def test_the_host_of_the_request():
    status, _, body = raw("GET", "/where/", headers={"Host": "shop.example.org:8443"})
    assert (status, json.loads(body)["host"]) == (200, "shop.example.org:8443")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_method_of_the_request(method):
    status, _, body = raw(method, "/where/")
    if method in ("GET", "OPTIONS"):
        assert (status, json.loads(body)["method"]) == (200, method)
    else:
        # Without a token.
        assert status == 403
