"""What twine and pip do with an index."""

import hashlib
import os
import subprocess
import sys
import xmlrpc.client
import zipfile
from pathlib import Path

import pytest
import requests

URL = os.environ["SUITE_URL"]
PACKAGES = Path(os.environ["SUITE_PACKAGES"])
TIMEOUT = 120


def wheel(folder, name, version, size=0):
    """A wheel with one module, and a file of `size` random bytes."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{name}/data.bin", os.urandom(1000) * (size // 1000))
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Summary: größe", ""]
        archive.writestr(f"{info}/METADATA", "\n".join(lines))
        lines = ["Wheel-Version: 1.0", "Generator: suite", "Root-Is-Purelib: true", "Tag: py3-none-any", ""]
        archive.writestr(f"{info}/WHEEL", "\n".join(lines))
        archive.writestr(f"{info}/RECORD", "")
    return path


def command(*words):
    done = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True, timeout=TIMEOUT)
    return done.returncode, done.stdout + done.stderr


def twine(path, password="geheim"):
    options = ["--repository-url", f"{URL}/", "--username", "anna", "--password", password, "--non-interactive"]
    return command("twine", "--no-color", "upload", *options, "--disable-progress-bar", path)


def pip(verb, *words):
    # Without the settings of the machine: the index is the only source.
    return command("pip", "--isolated", verb, "--index-url", f"{URL}/simple/", "--no-deps", "--no-cache-dir", *words)


@pytest.mark.parametrize("size", [0, 40_000_000])
def test_pip_installs_what_twine_uploads(tmp_path, size):
    name = f"uploaded{size}"
    made = wheel(tmp_path, name, "1.0", size)
    status, output = twine(made)
    assert status == 0, output
    assert (PACKAGES / made.name).read_bytes() == made.read_bytes()
    status, output = pip("install", "--target", tmp_path / "installed", name)
    assert status == 0, output
    assert (tmp_path / "installed" / name / "data.bin").stat().st_size == size


def test_an_upload_is_not_replaced(tmp_path):
    made = wheel(tmp_path, "once", "1.0")
    assert twine(made)[0] == 0
    status, output = twine(made)
    assert status != 0 and "400" in output, output


def test_a_wrong_password_is_refused(tmp_path):
    status, output = twine(wheel(tmp_path, "secret", "1.0"), password="falsch")
    assert status != 0 and "403" in output, output
    assert not list(PACKAGES.glob("secret*"))


def test_an_upload_without_a_password_is_refused():
    answer = requests.post(f"{URL}/", data={":action": "file_upload"}, timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="pypi"')


def test_pip_selects_a_version(tmp_path):
    for version in ["1.0", "1.5", "2.0"]:
        wheel(PACKAGES, "many", version)
    status, output = pip("install", "--target", tmp_path / "installed", "many<2")
    assert status == 0, output
    assert (tmp_path / "installed" / "many" / "__init__.py").read_text() == "VERSION = '1.5'\n"


def test_pip_downloads(tmp_path):
    made = wheel(PACKAGES, "fetched", "3.0", 1_000_000)
    status, output = pip("download", "--dest", tmp_path, "fetched==3.0")
    assert status == 0, output
    assert (tmp_path / made.name).read_bytes() == made.read_bytes()


def test_pip_says_that_a_package_is_missing(tmp_path):
    status, output = pip("install", "--target", tmp_path, "missing-package")
    assert status != 0 and "No matching distribution found" in output, output


def test_the_index_has_a_digest():
    made = wheel(PACKAGES, "digested", "1.0")
    page = requests.get(f"{URL}/simple/digested/", timeout=TIMEOUT).text
    link = f"/packages/{made.name}#"
    assert link in page
    algorithm, _, digest = page.split(link)[1].split('"')[0].partition("=")
    assert hashlib.new(algorithm, made.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("path", "target"),
    [("/simple", "/simple/"), ("/simple/digested", "/simple/digested/"), ("/simple/Big.Name/", "/simple/big-name/")],
)
def test_a_name_is_normalised_by_a_redirect(path, target):
    answer = requests.get(f"{URL}{path}", allow_redirects=False, timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{URL}{target}")


def test_a_range_of_a_package():
    made = wheel(PACKAGES, "part", "1.0", 100_000)
    headers = {"Range": "bytes=1000-1999", "Accept-Encoding": "identity"}
    answer = requests.get(f"{URL}/packages/{made.name}", headers=headers, timeout=TIMEOUT)
    assert (answer.status_code, answer.content) == (206, made.read_bytes()[1000:2000])


def test_a_known_package_is_not_sent_again():
    made = wheel(PACKAGES, "known", "1.0")
    first = requests.get(f"{URL}/packages/{made.name}", timeout=TIMEOUT)
    headers = {"If-Modified-Since": first.headers["Last-Modified"]}
    again = requests.get(f"{URL}/packages/{made.name}", headers=headers, timeout=TIMEOUT)
    assert (again.status_code, again.content) == (304, b"")


def test_a_search_by_xml():
    wheel(PACKAGES, "searched", "1.0")
    [found] = xmlrpc.client.ServerProxy(f"{URL}/RPC2").search({"name": "searched"})
    assert (found["name"], found["version"]) == ("searched", "1.0")


def test_a_package_is_removed():
    made = wheel(PACKAGES, "removed", "1.0")
    fields = {":action": "remove_pkg", "name": "removed", "version": "1.0"}
    assert requests.post(f"{URL}/", data=fields, auth=("anna", "geheim"), timeout=TIMEOUT).status_code == 200
    assert not made.exists()
