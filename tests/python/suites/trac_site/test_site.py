"""What a browser does with the site."""

import os
import re
from urllib.parse import quote

import pytest
import requests

URL = os.environ["SUITE_URL"]
TIMEOUT = 60


@pytest.fixture
def browser():
    with requests.Session() as session:
        page = session.get(f"{URL}/wiki", timeout=TIMEOUT)
        assert page.status_code == 200
        session.token = session.cookies["trac_form_token"]
        yield session


def post(browser, path, fields, **options):
    fields = {"__FORM_TOKEN": browser.token, **fields}
    return browser.post(f"{URL}{path}", data=fields, timeout=TIMEOUT, **options)


def ticket(browser, summary):
    fields = {"field_summary": summary, "field_description": "''kursiv'' ä", "submit": "Create"}
    answer = post(browser, "/newticket", fields)
    assert answer.status_code == 200
    return re.search(r"/ticket/(\d+)$", answer.url)[1]


def test_the_start_page(browser):
    answer = browser.get(f"{URL}/", timeout=TIMEOUT)
    assert (answer.status_code, "Welcome to Trac" in answer.text) == (200, True)


@pytest.mark.parametrize("name", ["Seite", "Größe", "漢字", "Mit Leerzeichen", "Ordner/Seite"])
def test_a_page_is_written_and_read(browser, name):
    path = f"/wiki/{quote(name)}"
    fields = {"action": "edit", "version": "0", "text": "= Überschrift =\nText '''fett''' 漢", "save": "Submit"}
    assert post(browser, path, fields).status_code == 200
    page = browser.get(f"{URL}{path}", timeout=TIMEOUT)
    assert page.status_code == 200
    assert "<strong>fett</strong>" in page.content.decode()
    plain = browser.get(f"{URL}{path}?format=txt", timeout=TIMEOUT)
    assert plain.content.decode().splitlines() == ["= Überschrift =", "Text '''fett''' 漢"]


def test_a_form_without_a_token_is_refused(browser):
    answer = browser.post(f"{URL}/newticket", data={"field_summary": "x"}, timeout=TIMEOUT)
    assert answer.status_code == 400


def test_a_ticket(browser):
    number = ticket(browser, "Fehler ß")
    page = browser.get(f"{URL}/ticket/{number}", timeout=TIMEOUT)
    assert "Fehler ß" in page.text and "<em>kursiv</em>" in page.text
    table = browser.get(f"{URL}/ticket/{number}?format=csv", timeout=TIMEOUT)
    assert table.headers["Content-Type"].startswith("text/csv") and "Fehler ß" in table.content.decode("utf-8-sig")


@pytest.mark.parametrize("name", ["plain.txt", "Anhang ä.txt"])
def test_an_attachment(browser, name):
    number = ticket(browser, "mit Anhang")
    content = os.urandom(200_000)
    fields = {"action": "new", "realm": "ticket", "id": number, "description": "Größe"}
    disposition = f'--cut\r\nContent-Disposition: form-data; name="attachment"; filename="{name}"\r\n\r\n'
    body = b"".join(
        f'--cut\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in {"__FORM_TOKEN": browser.token, **fields}.items()
    )
    body += disposition.encode() + content + b"\r\n--cut--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    answer = browser.post(f"{URL}/attachment/ticket/{number}/", data=body, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 200
    raw = browser.get(f"{URL}/raw-attachment/ticket/{number}/{quote(name)}", timeout=TIMEOUT)
    assert (raw.status_code, raw.content) == (200, content)


def test_a_stylesheet_is_not_sent_again(browser):
    first = browser.get(f"{URL}/chrome/common/css/trac.css", timeout=TIMEOUT)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "text/css")
    headers = {"If-Modified-Since": first.headers["Last-Modified"]}
    assert browser.get(f"{URL}/chrome/common/css/trac.css", headers=headers, timeout=TIMEOUT).status_code == 304


def test_the_timeline_is_a_feed(browser):
    ticket(browser, "in der Zeitleiste ö")
    feed = browser.get(f"{URL}/timeline?ticket=on&format=rss", timeout=TIMEOUT)
    assert feed.headers["Content-Type"].startswith("application/rss+xml")
    assert "in der Zeitleiste ö" in feed.content.decode()


def test_a_missing_page(browser):
    assert browser.get(f"{URL}/ticket/99999", timeout=TIMEOUT).status_code == 404
