"""Dash: the layout, the scripts and the callbacks of a page."""

SOURCES = []
PEER = "waitress"
AT_LEAST = 9
DIFFERENCES = {}


def run(site):
    with site.serving("board:server") as server:
        return site.pytest(site.files / "test_board.py", environ={"SUITE_URL": server.url})
