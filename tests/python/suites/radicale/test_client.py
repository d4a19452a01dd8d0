"""What calendars and address books do."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from urllib.parse import quote

import caldav
import pytest
import requests

URL = os.environ["SUITE_URL"]
TIMEOUT = 30
USERS = {"anna": "geheim", "jürgen": "größe"}
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\nEND:VCARD\r\n"


def credentials(user):
    return user.encode(), USERS[user].encode()


def event(uid, summary, extra=""):
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//suite//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260504T100000Z\r\nDTEND:20260504T110000Z\r\n"
        f"SUMMARY:{summary}\r\n{extra}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def send(method, path, user="anna", **options):
    return requests.request(method, f"{URL}{path}", auth=credentials(user), timeout=TIMEOUT, **options)


@pytest.fixture
def principal():
    with caldav.DAVClient(url=f"{URL}/", username="anna", password=USERS["anna"], timeout=TIMEOUT) as client:
        yield client.principal()


@pytest.fixture
def calendar(principal):
    made = principal.make_calendar(name=f"Termine ä {uuid.uuid4()}")
    yield made
    made.delete()


def test_a_calendar_is_listed(principal, calendar):
    assert calendar.url in [found.url for found in principal.calendars()]


def test_an_event_comes_back(calendar):
    calendar.save_event(event("besuch-1", "Besuch bei Müllers 漢字"))
    found = calendar.event_by_uid("besuch-1")
    assert "Besuch bei Müllers 漢字" in found.data


def test_an_event_is_found_by_its_time(calendar):
    calendar.save_event(event("zeit", "im Mai"))
    days = [datetime(2026, 5, day, tzinfo=timezone.utc) for day in (4, 5, 6)]
    assert len(calendar.search(start=days[0], end=days[1], event=True)) == 1
    assert calendar.search(start=days[1], end=days[2], event=True) == []


def test_a_recurring_event_is_expanded(calendar):
    calendar.save_event(event("serie", "täglich", "RRULE:FREQ=DAILY;COUNT=5\r\n"))
    start, end = (datetime(2026, 5, day, tzinfo=timezone.utc) for day in (1, 31))
    assert len(calendar.search(start=start, end=end, event=True, expand=True)) == 5


def test_an_event_is_changed_and_deleted(calendar):
    saved = calendar.save_event(event("wechsel", "vorher"))
    saved.data = event("wechsel", "nachher")
    saved.save()
    assert "nachher" in calendar.event_by_uid("wechsel").data
    saved.delete()
    assert calendar.events() == []


def test_a_task_comes_back(calendar):
    calendar.save_todo(summary="Fenster putzen ß", uid="aufgabe")
    [found] = calendar.todos()
    assert "Fenster putzen ß" in found.data
    found.complete()
    assert calendar.todos() == []


def test_a_client_synchronises(calendar):
    calendar.save_event(event("erster", "eins"))
    known = calendar.objects_by_sync_token(load_objects=True)
    calendar.save_event(event("zweiter", "zwei"))
    updated, deleted = known.sync()
    assert ([len(list(updated)), len(list(deleted))]) == [1, 0]


# Without letters outside of ASCII: behind any WSGI server, Radicale refuses them in a path.
@pytest.mark.parametrize("name", ["plain.ics", "with space & plus+.ics", "percent %41.ics"])
def test_a_file_has_its_name(name):
    collection = f"/anna/{uuid.uuid4()}/"
    assert send("MKCALENDAR", collection).status_code == 201
    path = collection + quote(name)
    headers = {"Content-Type": "text/calendar; charset=utf-8"}
    put = send("PUT", path, data=event("datei", "Ä").encode(), headers=headers)
    assert put.status_code == 201
    got = send("GET", path)
    assert got.status_code == 200
    assert got.headers["ETag"] == put.headers["ETag"]
    assert "SUMMARY:Ä" in got.content.decode()
    listed = send("PROPFIND", collection, headers={"Depth": "1"})
    assert listed.status_code == 207
    assert quote(name) in listed.text


def test_an_address_book():
    book = f"/anna/{uuid.uuid4()}/"
    create = (
        '<mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><set><prop><resourcetype><collection/>'
        "<C:addressbook/></resourcetype><displayname>Bücher</displayname></prop></set></mkcol>"
    )
    assert send("MKCOL", book, data=create.encode()).status_code == 201
    card = CARD.format(uid="karte", name="Jürgen Groß")
    assert send("PUT", f"{book}karte.vcf", data=card.encode(), headers={"Content-Type": "text/vcard"}).ok
    query = (
        '<C:addressbook-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><prop><C:address-data/></prop>'
        '<C:filter><C:prop-filter name="FN"><C:text-match match-type="contains">Groß</C:text-match></C:prop-filter>'
        "</C:filter></C:addressbook-query>"
    )
    found = send("REPORT", book, data=query.encode(), headers={"Depth": "1"})
    assert (found.status_code, "Jürgen Groß" in found.content.decode()) == (207, True)


def test_a_condition_protects_an_event():
    collection = f"/anna/{uuid.uuid4()}/"
    assert send("MKCALENDAR", collection).status_code == 201
    path, body = f"{collection}a.ics", event("a", "a").encode()
    tag = send("PUT", path, data=body, headers={"If-None-Match": "*"}).headers["ETag"]
    assert send("PUT", path, data=body, headers={"If-None-Match": "*"}).status_code == 412
    assert send("PUT", path, data=body, headers={"If-Match": '"other"'}).status_code == 412
    assert send("DELETE", path, headers={"If-Match": tag}).status_code == 200


def test_a_wrong_password_is_refused():
    assert requests.request("PROPFIND", f"{URL}/anna/", timeout=TIMEOUT).status_code == 401
    assert requests.request("PROPFIND", f"{URL}/anna/", auth=("anna", "no"), timeout=TIMEOUT).status_code == 401


def test_another_user_is_forbidden():
    assert send("PROPFIND", "/anna/", user="jürgen").status_code == 403


def test_the_well_known_address_redirects():
    answer = requests.get(f"{URL}/.well-known/caldav", allow_redirects=False, timeout=TIMEOUT)
    assert answer.status_code in (301, 302)


def test_many_clients_at_once():
    collection = f"/anna/{uuid.uuid4()}/"
    assert send("MKCALENDAR", collection).status_code == 201

    def put(number):
        body = event(f"uid-{number}", f"Nummer {number}").encode()
        return send("PUT", f"{collection}{number}.ics", data=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put, range(40))) == [201] * 40
    listed = send("PROPFIND", collection, headers={"Depth": "1"}).text
    assert sum(f"{number}.ics" in listed for number in range(40)) == 40


def test_a_large_calendar_arrives_at_once():
    events = "".join(
        event(f"uid-{number}", "x" * 500).split("PRODID:-//suite//EN\r\n")[1].removesuffix("END:VCALENDAR\r\n")
        for number in range(500)
    )
    whole = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//suite//EN\r\n{events}END:VCALENDAR\r\n"
    collection = f"/anna/{uuid.uuid4()}/"
    assert send("PUT", collection, data=whole.encode(), headers={"Content-Type": "text/calendar"}).status_code == 201
    assert send("GET", collection).text.count("BEGIN:VEVENT") == 500
