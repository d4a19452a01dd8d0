//! Python servers from PyPI, in their own virtual environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Returns the interpreter of a virtual environment with these packages; creates the environment if it does not exist.
pub(crate) fn install(venv: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let python = venv.join("bin/python");
    if !is_installed(&python, packages) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(packages))?;
    }
    Ok(python)
}

/// The version of a package.
pub(crate) fn version(python: &Path, package: &str) -> Option<String> {
    let code = format!("import importlib.metadata as m; print(m.version({package:?}))");
    let output = Command::new(python).args(["-c", &code]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_installed(python: &Path, packages: &[&str]) -> bool {
    let code = format!("import {}", packages.join(", "));
    let check = Command::new(python).args(["-c", &code]).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} is missing"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no message"));
    }
    Ok(())
}
