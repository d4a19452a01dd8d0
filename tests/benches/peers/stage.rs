//! The programs of the contenders: how they are built, and how each is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::compare::{lab, machine};
use crate::contender::Contender;

/// A folder in the target folder.
pub(crate) const FOLDER: &str = "peers";

/// A folder in the folder of the book.
pub(crate) const PAGE: &str = "performance";

/// The packages whose versions are reported.
const PACKAGES: [&str; 7] = ["actix-web", "axum", "gateway", "hyper", "rouille", "rusqlite", "tokio"];

/// The programs, and the files that they use.
pub(crate) struct Stage {
    programs: PathBuf,
    database: PathBuf,
}

impl Stage {
    /// Builds the contenders as a user would build them, and creates the files that they use.
    pub(crate) fn set(folder: &Path, target: &Path) -> anyhow::Result<Self> {
        lab::build_with(&["--bins", "--features", "peers"], |_| {})?;
        let programs = target.join("release");
        let database = folder.join("rows.db");
        let made = Command::new(programs.join("make_database")).arg(&database).status().context("make_database")?;
        if !made.success() {
            bail!("there is no database");
        }
        Ok(Self { programs, database })
    }

    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        machine::versions(&PACKAGES)
    }

    pub(crate) fn command(&self, contender: Contender, runtime: Option<usize>, port: u16) -> Command {
        let mut command = Command::new(self.programs.join(contender.program()));
        command.args(["--port", &port.to_string(), "--database"]).arg(&self.database);
        match contender {
            Contender::Bare(threads) | Contender::Gateway(threads) => {
                command.args(["--threads", &threads.to_string()]);
            }
            Contender::Hop(threads) => {
                command.args(["--threads", &threads.to_string(), "--drivers", "0"]);
            }
            Contender::UnderAxum => {
                command.arg("--axum");
            }
            _ => {}
        }
        if let Some(threads) = runtime {
            command.env("TOKIO_WORKER_THREADS", threads.to_string());
        }
        command
    }
}
