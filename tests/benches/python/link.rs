//! Builds the gateway's program like granian's: with link-time optimization, its own allocator, and an interpreter that
//! is linked statically, as granian runs in a `python3` that contains its interpreter. The shared library of the same
//! interpreter may be up to a fifth slower.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::compare::lab;

/// Prints the path of the interpreter's static library, the libraries that it needs, and the configuration for pyo3.
const ASK: &str = "
import struct, sys, sysconfig
get = lambda name: sysconfig.get_config_var(name) or ''
print(get('LIBPL') + '/' + get('LIBRARY'))
print(' '.join(get(name) for name in ('LIBS', 'SYSLIBS', 'MODLIBS')))
print('%d.%d' % sys.version_info[:2])
print(struct.calcsize('P') * 8)
print(sys.executable)
";

/// A program with the interpreter linked statically or dynamically.
pub(crate) struct Linked {
    pub(crate) program: PathBuf,
    pub(crate) is_static: bool,
}

/// Builds the program for the interpreter of a virtual environment.
pub(crate) fn build(python: &Path, folder: &Path, target: &Path) -> anyhow::Result<Linked> {
    let host = host()?;
    let mut options: Vec<&str> = vec!["--bin", "gateway_python", "--features", "python-peers", "--target", &host];
    options.extend(["--config", "profile.release.lto='fat'", "--config", "profile.release.codegen-units=1"]);
    let inside = interpreter(python, folder)?;
    let is_static = inside.is_some();
    lab::build_with(&options, |command| {
        if let Some(Interpreter { config, flags }) = inside {
            command.env("PYO3_CONFIG_FILE", config).env("RUSTFLAGS", flags);
        } else {
            command.env("PYO3_PYTHON", python);
        }
    })?;
    Ok(Linked { program: target.join(host).join("release/gateway_python"), is_static })
}

/// The target triple of this machine's compiler. If cargo gets it as an option, build scripts do not get the flags.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not print its host")?;
    Ok(host.to_owned())
}

/// The files and flags that are necessary to link an interpreter into a program.
struct Interpreter {
    config: PathBuf,
    flags: String,
}

/// Returns `None` if the interpreter has no static library.
fn interpreter(python: &Path, folder: &Path) -> anyhow::Result<Option<Interpreter>> {
    let output = Command::new(python).args(["-c", ASK]).output().with_context(|| python.display().to_string())?;
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<&str> = text.lines().collect();
    let [library, needs, version, width, executable] = lines[..] else {
        bail!("{} does not say how it was built", python.display());
    };
    if !Path::new(library).is_file() {
        return Ok(None);
    }
    let config = folder.join("pyo3.txt");
    let settings = [
        "implementation=CPython".to_owned(),
        format!("version={version}"),
        "shared=false".to_owned(),
        format!("pointer_width={width}"),
        format!("executable={executable}"),
        // The linker flags name the library.
        "suppress_build_script_link_lines=true".to_owned(),
    ];
    fs::write(&config, settings.join("\n") + "\n").with_context(|| config.display().to_string())?;
    // Link the whole library and export its symbols, because extension modules use symbols that the program itself does
    // not use. The library may not be position-independent code, so the program must not be a position-independent
    // executable.
    let whole = format!("-Wl,--export-dynamic -Wl,--whole-archive {library} -Wl,--no-whole-archive {needs}");
    let flags = whole.split_whitespace().map(|argument| format!(" -C link-arg={argument}"));
    let flags = format!("-C relocation-model=static{}", flags.collect::<String>());
    Ok(Some(Interpreter { config, flags }))
}
