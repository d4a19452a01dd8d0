#!/usr/bin/env python3
"""Runs the example servers under valgrind's memcheck, with a short mixed load: tests/memory/check.py [rust] [python]

The load has plain, large, chunked, failing, panicking, aborted and pipelined requests. A server is stopped by SIGTERM
and has to end by itself. The exit status is 1 if memcheck reports an invalid access, a jump that depends on a value
that was never set, or a block that is definitely lost, and 2 if a server did not do its part.
"""

import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "memory"
# valgrind runs one thread at a time, some thirty times slower.
BOUND = 300
ROUNDS = 4
CLIENTS = 4
# Its client ends its side before the end of the body.
CUT = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\ncut"


def server(name):
    binary = ROOT / "target" / "debug" / "examples" / name
    if name == "wsgibin":
        return [binary, "--port", "0", "--threads", "4"]
    folder = ROOT / "tests" / "python"
    arguments = ["wsgibin:Wsgibin()", "--python-path", folder, "--stream", "--mount", "/", "--mount", "/app"]
    return [binary, *arguments, "--port", "0", "--threads", "4"]


def build(name):
    command = ["cargo", "build", "--quiet", "-p", "gateway-examples", "--example", name]
    if name == "python":
        command += ["--features", "python"]
    subprocess.run(command, cwd=ROOT, check=True)


def requests():
    def get(path, connection="close"):
        return f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n".encode()

    def post(path, body):
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    paths = ["env", "ok", "raise", "raise-started", "raise-mid", "never", "twice", "replace", "replace-late", "late"]
    paths += ["empty", "cl-over", "cl-over-stream", "cl-under", "s204", "s304", "errors", "noread", "empty-first"]
    for path in paths:
        yield get(f"/{path}")
        yield get(f"/app/{path}?x=%20")
    yield get("/bytes?n=300000")
    yield get("/big?n=300000")
    yield get("/stream?n=20")
    yield post("/echo", b"x" * 100_000)
    yield post("/sum", bytes(200_000))
    chunked = b"POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield chunked + b"3\r\nabc\r\n" * 50 + b"0\r\n\r\n"
    yield chunked + b"zz\r\n"
    yield CUT
    yield b"GET / HTTP/1.1\r\nno colon\r\n\r\n"
    yield get("/ok", "keep-alive") * 20 + get("/ok")
    yield b"HEAD /bytes?n=5 HTTP/1.0\r\n\r\n"


def exchange(port, request, aborts):
    """Sends a request and reads to the end. Returns the number of answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND) as connection:
        connection.sendall(request)
        if aborts:
            return 0
        if request == CUT:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    return received.count(b"HTTP/1.1 ")


def load(port):
    answers, failures = [0] * CLIENTS, []

    def client(number):
        try:
            for turn in range(ROUNDS):
                for at, request in enumerate(requests()):
                    answers[number] += exchange(port, request, aborts=(at + turn + number) % 7 == 0)
        except OSError as error:
            failures.append(error)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if failures:
        print(f"a client failed: {failures[0]}", file=sys.stderr)
        sys.exit(2)
    return sum(answers)


def port_of(process, log):
    """The port, once the server has said it."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"127\.0\.0\.1:(\d+)", log.read_text(errors="replace")):
            return int(found[1])
        time.sleep(0.1)
    process.kill()
    print(log.read_text(errors="replace"), file=sys.stderr)
    sys.exit(2)


def check(kind):
    name = {"rust": "wsgibin", "python": "python"}[kind]
    build(name)
    OUT.mkdir(parents=True, exist_ok=True)
    log, report = OUT / f"{name}.log", OUT / f"{name}.memcheck"
    options = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
    options += ["--fair-sched=yes", "--num-callers=40", f"--log-file={report}"]
    options += [f"--suppressions={path}" for path in Path(__file__).parent.glob(f"{name}.supp")]
    # Python's own allocator reuses blocks unseen.
    environment = {"PATH": "/usr/bin:/bin", "PYTHONMALLOC": "malloc", "NO_COLOR": "1"}
    with log.open("w") as output:
        command = ["valgrind", *options, *map(str, server(name))]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        answers = load(port_of(process, log))
        process.terminate()
        status = process.wait(BOUND)
    except subprocess.TimeoutExpired:
        print(f"{name} does not end", file=sys.stderr)
        sys.exit(2)
    finally:
        if process.poll() is None:
            process.kill()
    text = report.read_text(errors="replace")
    summaries = re.findall(r"ERROR SUMMARY: (\d+) errors", text)
    if not summaries:
        print(f"{report} has no summary", file=sys.stderr)
        sys.exit(2)
    errors = int(summaries[-1])
    lost = re.findall(r"definitely lost: ([\d,]+ bytes)", text) or ["0 bytes"]
    print(f"{kind}: {answers} answers, exit status {status}, {errors} errors, {lost[-1]} definitely lost; {report}")
    if answers < 100 * ROUNDS or status != 0:
        sys.exit(2)
    return errors


if __name__ == "__main__":
    sys.exit(1 if sum([check(kind) for kind in sys.argv[1:] or ["rust", "python"]]) else 0)
