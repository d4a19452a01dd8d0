#!/usr/bin/env python3
"""What a program pays for the gateway at build time: the smallest server with it, and the smallest one with axum alone.

    tests/build_cost/run.py                  # all of it, in about four minutes on two idle cores
    tests/build_cost/run.py --profiles dev   # without the release builds

Both programs are built from nothing, with the versions of this Cargo.lock, in target/build-cost. The times are CPU
seconds of all processes, which another load on the machine changes less than the seconds on the clock.
"""

import argparse
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target/build-cost"

AXUM = """
use axum::{Router, extract::Path, routing::get};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(|| async { "hello\\n" }))
        .route("/notes/{id}", get(note));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, app).with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await
}

async fn note(Path(id): Path<u32>) -> Result<String, axum::http::StatusCode> {
    let note = tokio::task::spawn_blocking(move || std::fs::read_to_string(format!("notes/{id}.txt")));
    note.await.map_err(|_| axum::http::StatusCode::INTERNAL_SERVER_ERROR)?.map_err(|_| axum::http::StatusCode::NOT_FOUND)
}
"""

GATEWAY = """
use axum::{Router, extract::Path, routing::get};
use gateway::Pool;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().build()?;
    let app = Router::new()
        .route("/", get(|| async { "hello\\n" }))
        .route("/notes/{id}", get(pool.handler(note)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
}

fn note(Path(id): Path<u32>) -> gateway::Result<String> {
    Ok(std::fs::read_to_string(format!("notes/{id}.txt"))?)
}
"""

TOKIO = 'tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }\n'
# axum as `cargo add axum` has it, and as it comes with `cargo add gateway`, without its own server and its default features.
PROGRAMS = {
    "axum": ('axum = "0.8"\n' + TOKIO, AXUM),
    "gateway": (
        f'gateway = {{ path = "{ROOT}/gateway" }}\naxum = {{ version = "0.8", default-features = false }}\n' + TOKIO,
        GATEWAY,
    ),
}


def cargo(folder, *arguments, check=True):
    """The CPU seconds and the seconds of one command, and what it prints."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(folder / "target"))
    for name in ("CARGO_INCREMENTAL", "CARGO_PROFILE_DEV_DEBUG", "RUSTFLAGS"):
        environment.pop(name, None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(["cargo", *arguments], cwd=folder, env=environment, check=check, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began, done.stdout


def crates(folder):
    """How many packages are built, with those of the macros, on this system."""
    text = cargo(folder, "tree", "--prefix", "none", "--edges", "normal,build", "--format", "{p}")[2]
    return len({" ".join(line.split()[:2]) for line in text.splitlines() if line.strip()}) - 1


def size(file):
    stripped = file.with_name("stripped")
    subprocess.run(["strip", "-o", stripped, file], check=True)
    return file.stat().st_size, stripped.stat().st_size


def measure(name, profile):
    folder = WORK / name
    shutil.rmtree(folder / "target", ignore_errors=True)
    flags = ["--release"] if profile == "release" else []
    cpu, seconds, _ = cargo(folder, "build", "--quiet", "--offline", *flags)
    whole, stripped = size(folder / "target" / ("release" if flags else "debug") / name)
    # As after a change of a handler.
    source = folder / "src/main.rs"
    source.write_text(source.read_text().replace("{id}.txt", "{id}.text"))
    again, _, _ = cargo(folder, "build", "--quiet", "--offline", *flags)
    source.write_text(PROGRAMS[name][1])
    return cpu, seconds, again, whole / 2**20, stripped / 2**20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--profiles", nargs="+", default=["dev", "release"])
    options = parser.parse_args()
    for name, (dependencies, source) in PROGRAMS.items():
        folder = WORK / name
        (folder / "src").mkdir(parents=True, exist_ok=True)
        (folder / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n{dependencies}\n[workspace]\n'
        )
        if name == "gateway":
            # The program has another name than the library.
            text = (folder / "Cargo.toml").read_text().replace('name = "gateway"', 'name = "gateway-hello"')
            (folder / "Cargo.toml").write_text(text + f'[[bin]]\nname = "{name}"\npath = "src/main.rs"\n')
        (folder / "src/main.rs").write_text(source)
        shutil.copy(ROOT / "Cargo.lock", folder / "Cargo.lock")
        cargo(folder, "fetch", "--quiet")
    print("| program | profile | crates | CPU s, clean | s, clean | CPU s, a handler changed | MiB | MiB, stripped |")
    print("|---|---|---|---|---|---|---|---|")
    for profile in options.profiles:
        for name in PROGRAMS:
            cpu, seconds, again, whole, stripped = measure(name, profile)
            row = [name, profile, crates(WORK / name), f"{cpu:.0f}", f"{seconds:.0f}", f"{again:.1f}", f"{whole:.1f}", f"{stripped:.1f}"]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
