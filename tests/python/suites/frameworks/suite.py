"""Bottle, Falcon, Pyramid and web.py: JSON in chunks, forms, uploads, streams."""

SOURCES = []
PEER = "waitress"
AT_LEAST = 76
DIFFERENCES = {}


def run(site):
    results = {}
    for name in ["bottle", "falcon", "pyramid", "webpy"]:
        folder = site.folder / name
        folder.mkdir()
        with site.serving(f"{name}_application:application", folder=folder) as server:
            done = site.pytest(site.files / "test_framework.py", environ={"SUITE_URL": server.url})
        results |= {f"{name}, {test}": outcome for test, outcome in done.items()}
    return results
