"""WsgiDAV: litmus, and files of 40 MB."""

import os
import re
import shutil

from harness import process
from harness.results import FAILED, PASSED, SKIPPED

SOURCES = []
PEER = "waitress"
AT_LEAST = 112
DIFFERENCES = {}


def run(site):
    shared = site.folder / "shared"
    shared.mkdir()
    environ = {"SUITE_SHARED": str(shared)}
    with site.serving("application:application", environ=environ) as server:
        results = litmus(site, server)
        results |= site.pytest(site.files / "test_large_files.py", environ={"SUITE_URL": server.url, **environ})
    return results


# The outcome of a test in the output of litmus: ` 3. put_get............... pass`. A warning comes between the two:
# ` 9. delete_fragment....... WARNING: …`, and `    ...................... pass (with 1 warning)` on the next line.
LINE = re.compile(r"^ *(?:(?P<test>\d+\. \w+)\.*|\.{2,}) (?P<outcome>pass|FAIL|SKIPPED|WARNING)")
OUTCOMES = {"pass": PASSED, "FAIL": FAILED, "SKIPPED": SKIPPED, "WARNING": FAILED}


def litmus(site, server):
    program = shutil.which("litmus")
    if program is None:
        raise RuntimeError("litmus is missing; on Debian, apt-get install litmus")
    log = site.folder / "litmus.log"
    process.run(
        [program, "--keep-going", f"{server.url}/"], cwd=site.folder, environ=dict(os.environ), log=log, seconds=300
    )
    results, group, test = {}, None, None
    # A carriage return separates the name of a test from its outcome.
    for line in re.split(r"[\r\n]+", log.read_text(errors="replace")):
        if start := re.match(r"-> running `(\w+)'", line):
            group = start[1]
        elif outcome := LINE.match(line):
            test = outcome["test"] or test
            results[f"litmus {group} {test}"] = OUTCOMES[outcome["outcome"]]
    return results
