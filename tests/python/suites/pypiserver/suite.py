"""pypiserver: twine uploads, pip downloads."""

SOURCES = []
PEER = "waitress"
AT_LEAST = 16
DIFFERENCES = {}


def run(site):
    packages = site.folder / "packages"
    packages.mkdir()
    environ = {"SUITE_PACKAGES": str(packages)}
    with site.serving("application:application", environ=environ) as server:
        return site.pytest(site.files / "test_index.py", environ={"SUITE_URL": server.url, **environ})
