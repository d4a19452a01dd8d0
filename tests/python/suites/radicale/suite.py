"""Radicale: a CalDAV client, also with an empty process environment of the server."""

SOURCES = []
PEER = "waitress"
AT_LEAST = 34
DIFFERENCES = {}

CONFIGURATION = """
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
[rights]
type = owner_only
[storage]
filesystem_folder = {folder}/collections
"""


def run(site):
    results = {}
    for is_empty in [False, True]:
        folder = site.folder / ("empty" if is_empty else "full")
        folder.mkdir()
        (folder / "users").write_text("anna:geheim\njürgen:größe\n", encoding="utf-8")
        (folder / "config").write_text(CONFIGURATION.format(folder=folder))
        environ = {"RADICALE_CONFIG": str(folder / "config")}
        with site.serving("radicale:application", path=[], environ=environ, empty=is_empty, folder=folder) as server:
            done = site.pytest(site.files / "test_client.py", environ={"SUITE_URL": server.url})
        results |= {f"{folder.name} environment, {name}": outcome for name, outcome in done.items()}
    return results
