"""One run of a suite: its server, and a folder for it."""

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

    def serving(self, application: str, *, path: list[Path] | None = None, **options):
        """Serves an application: see `harness.server.serving`. Its modules are in `path`, by default in `files`."""
        path = [self.files] if path is None else path
        return server.serving(
            self.server, self.environment, application, path=path, folder=self.folder, **options
        )

    def pytest(self, *arguments, environ: dict[str, str] | None = None, cwd: Path | None = None, seconds=300) -> Results:
        """Runs pytest with the interpreter of the environment, and returns what its report says. `cwd` is the root of
        the tests, by default `files`."""
        report = self.folder / "report.xml"
        command = [self.python, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junitxml={report}", f"--rootdir={cwd or self.files}"]
        process.run(
            [*command, *map(str, arguments)],
            cwd=cwd or self.folder,
            environ={**self.environment.activated(), "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
            log=self.folder / "pytest.log",
            seconds=seconds,
        )
        if not report.exists():
            log = (self.folder / "pytest.log").read_text(errors="replace")
            raise RuntimeError(f"pytest wrote no report:\n{log}")
        # The folder is part of some names, and differs between the servers.
        return {name.replace(str(self.folder), ""): outcome for name, outcome in junit(report).items()}
