"""One run of a suite: its server, and a folder for it."""

import json
from dataclasses import dataclass
from pathlib import Path

from harness import process, server
from harness.environment import Environment
from harness.results import Results, junit


@dataclass
class Site:
    # `gateway`, or a peer.
    server: str
    environment: Environment
    # The files of the suite, in `tests/python/suites`.
    files: Path
    # Empty at the start of the run.
    folder: Path

    @property
    def python(self) -> str:
        return str(self.environment.python)

    def serving(self, application: str, *, path: list[Path] | None = None, folder: Path | None = None, **options):
        """Serves an application: see `harness.server.serving`. Its modules are in `path`, by default in `files`."""
        path = [self.files] if path is None else path
        return server.serving(
            self.server, self.environment, application, path=path, folder=folder or self.folder, **options
        )

    def pytest_inside(self, tests: list, *, plugin: str, cwd: Path, requests: int, seconds=300) -> Results:
        """Runs the tests in `cwd` with pytest in the interpreter of the server: see `harness.inside`. `plugin` is a
        module. The tests must make at least that many `requests`."""
        report, done = self.folder / "report.xml", self.folder / "done"
        port = server.free_port()
        # The server's own threads keep its streams: pytest replaces those of Python only.
        options = ["-p", "no:cacheprovider", "-p", "no:faulthandler", "--capture=sys", "-p", plugin]
        arguments = [*options, f"--junitxml={report}", f"--rootdir={cwd}", *map(str, tests)]
        variables = {
            "SUITE_PORT": str(port),
            "SUITE_DONE": str(done),
            "SUITE_ARGUMENTS": json.dumps(arguments),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        path = [self.files.parent, self.files]
        with self.serving("harness.inside:application", path=path, port=port, environ=variables, folder=cwd) as running:
            process.until(
                lambda: running.has_ended() or (done.exists() and done.read_text()),
                seconds,
                lambda: RuntimeError(f"pytest did not end within {seconds} s; its output is in {running.log}"),
            )
        if not done.exists():
            raise RuntimeError(f"the server ended before the tests:\n{running.log.read_text(errors='replace')}")
        count = int(done.read_text())
        if count < requests:
            raise RuntimeError(f"the tests made {count} requests, and {requests} are required; see {running.log}")
        return self._results(report, running.log)

    def _results(self, report: Path, log: Path) -> Results:
        if not report.exists():
            raise RuntimeError(f"pytest wrote no report:\n{log.read_text(errors='replace')}")
        # The folder is part of some names, and differs between the servers.
        return {name.replace(str(self.folder), ""): outcome for name, outcome in junit(report).items()}

    def pytest(self, *tests, environ: dict[str, str] | None = None, cwd: Path | None = None, seconds=300) -> Results:
        """Runs the tests with pytest in a process of its own. Their names begin at `cwd`, by default at `files`."""
        report = self.folder / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", f"--rootdir={cwd or self.files}"]
        process.run(
            [self.python, "-m", "pytest", *options, *map(str, tests)],
            cwd=cwd or self.folder,
            environ={**self.environment.activated(), "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
            log=self.folder / "pytest.log",
            seconds=seconds,
        )
        return self._results(report, self.folder / "pytest.log")
