//! Python servers from PyPI, in their own virtual environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Returns the interpreter of a virtual environment with these packages, which may have a version (`name==1.0`).
/// Creates the environment if it does not exist.
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

/// Fails unless the packages of the arguments are installed, in the versions that they name.
const CHECK: &str = "
import importlib.metadata, sys
for package in sys.argv[1:]:
    name, _, version = package.partition('==')
    assert importlib.metadata.version(name) == version or not version
";

fn is_installed(python: &Path, packages: &[&str]) -> bool {
    let check = Command::new(python).args(["-c", CHECK]).args(packages).stderr(Stdio::null()).status();
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
