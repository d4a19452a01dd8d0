"""The packages of a suite: a virtual environment, and source distributions with their tests."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

# The longest installation of one suite, in seconds.
INSTALLATION = 900


class Environment:
    """A virtual environment below `folder`, installed from `requirements.txt` and the source distributions `sources`.

    An environment with the same requirements and the same interpreter is used again.
    """

    def __init__(self, interpreter: str, folder: Path, requirements: Path, sources: list[str]):
        self.folder = folder
        self.venv = folder / "venv"
        self.python = self.venv / "bin" / "python"
        self._interpreter = interpreter
        self._requirements = requirements
        self._sources = sources

    def install(self):
        stamp = self.folder / "installed"
        contents = "\n".join([self._interpreter, self._requirements.read_text(), *self._sources])
        digest = hashlib.sha256(contents.encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == digest:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._run([self._interpreter, "-m", "venv", str(self.venv)])
        self._run([str(self.python), "-m", "pip", "install", "--quiet", "--requirement", str(self._requirements)])
        for source in self._sources:
            self._download(source)
        # The stamp comes last: an interrupted installation is repeated.
        stamp.write_text(digest)

    def activated(self) -> dict[str, str]:
        """The process environment that `bin/activate` makes."""
        path = os.pathsep.join([str(self.venv / "bin"), os.environ.get("PATH", os.defpath)])
        return {**os.environ, "VIRTUAL_ENV": str(self.venv), "PATH": path}

    def source(self, name: str) -> Path:
        """The unpacked source distribution, such as `source("requests")` for `requests==2.32.5`."""
        [found] = (self.folder / "sources" / name).iterdir()
        return found

    def _download(self, requirement: str):
        name = requirement.partition("==")[0]
        archives = self.folder / "archives" / name
        command = [str(self.python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
        self._run([*command, "--dest", str(archives), requirement])
        [archive] = archives.iterdir()
        shutil.unpack_archive(archive, self.folder / "sources" / name)

    def _run(self, command: list[str]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLATION)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed; does it have a network?\n{done.stdout}{done.stderr}")
