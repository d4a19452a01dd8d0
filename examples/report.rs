//! What to send with a report of a fault: the versions, the features, the platform and a pool. The compiler is the one
//! that is found now.
//!
//! ```sh
//! cargo run --example report                     # "gateway: 0.1.0", and a line for each other fact
//! cargo run --example report --features python   # with the version and the library of Python
//! ```
//!
//! The features are those of this example. A program that prints a `BugReport` of its own pool reports its own.

use std::process::Command;

use gateway::{BugReport, Pool};

fn main() -> std::io::Result<()> {
    print!("{}", report(&Pool::builder().build()?));
    Ok(())
}

fn report(pool: &Pool) -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let compiler = if version.is_empty() { "no rustc is found" } else { &version };
    format!("{}rustc: {compiler}\n", BugReport::of(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_versions_features_platform_and_pool() {
        let text = report(&Pool::builder().threads(5).build().unwrap());
        let value = |name: &str| {
            let prefix = format!("{name}: ");
            text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no {name}: {text}"))
        };
        assert_eq!(value("gateway"), env!("CARGO_PKG_VERSION"));
        assert!(value("features").starts_with("files, form, json, macros, metrics, multipart, "));
        assert!(value("platform").starts_with(std::env::consts::OS));
        assert!(value("processors").contains("for this process"));
        assert!(value("pool").starts_with("5 threads at most, "));
        assert!(value("rustc").starts_with("rustc 1."));
        if cfg!(feature = "python") {
            assert!(value("python").starts_with("3."));
        }
    }
}
