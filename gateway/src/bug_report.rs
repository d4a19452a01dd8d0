//! What a report of a fault has to say about the program and its machine.
//!
//! Threads: any; reads files of the system.

use std::fmt;

use crate::pool::Pool;

/// The versions, the features, the platform and the pool of a program: what to send with a report of a fault. It has no
/// data of requests, and no path but that of Python's library.
///
/// # Example
///
/// ```
/// use gateway::{BugReport, Pool};
///
/// # fn main() -> std::io::Result<()> {
/// let pool = Pool::builder().threads(8).build()?;
/// let report = BugReport::of(&pool).to_string();
/// assert!(report.starts_with("gateway: "));
/// assert!(report.contains("pool: 8 threads at most"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BugReport(Vec<(&'static str, String)>);

/// The features that this program was built with, beside those that it was not.
const FEATURES: [(&str, bool); 10] = [
    ("files", cfg!(feature = "files")),
    ("form", cfg!(feature = "form")),
    ("json", cfg!(feature = "json")),
    ("macros", cfg!(feature = "macros")),
    ("metrics", cfg!(feature = "metrics")),
    ("multipart", cfg!(feature = "multipart")),
    ("python", cfg!(feature = "python")),
    ("serve", cfg!(feature = "serve")),
    ("tls", cfg!(feature = "tls")),
    ("tower-http", cfg!(feature = "tower-http")),
];

impl BugReport {
    /// The report of this program, with the state of this pool. Reads a few files of the system, so it may block.
    pub fn of(pool: &Pool) -> Self {
        let features: Vec<&str> = FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
        let build = if cfg!(debug_assertions) { "with debug assertions" } else { "without debug assertions" };
        let panics = if cfg!(panic = "abort") { "abort" } else { "unwind" };
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let stats = pool.stats();
        let mut lines = vec![
            ("gateway", env!("CARGO_PKG_VERSION").to_owned()),
            ("features", if features.is_empty() { "none".to_owned() } else { features.join(", ") }),
            ("build", format!("{build}; panics {panics}")),
            ("platform", format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH)),
            ("kernel", file("/proc/sys/kernel/osrelease")),
            ("processors", format!("{processors} for this process; cpu.max: {}", file("/sys/fs/cgroup/cpu.max"))),
            (
                "pool",
                format!(
                    "{} threads at most, {} started, {} reserved; a queue of {}",
                    stats.max_threads, stats.threads, stats.reserved, stats.queue_limit
                ),
            ),
            (
                "jobs",
                format!(
                    "{} ended, {} on their driver; {} refused, {} expired, {} stuck; {:?} each, moving average",
                    stats.completed, stats.driven, stats.shed, stats.expired, stats.stuck, stats.service_time
                ),
            ),
        ];
        #[cfg(feature = "python")]
        lines.push(("python", crate::python::linked()));
        lines.retain(|(_, text)| !text.is_empty());
        Self(lines)
    }
}

/// The first line of a small file of the system.
fn file(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match text.lines().next() {
        Some(line) => line.trim().to_owned(),
        None => "unknown".to_owned(),
    }
}

impl fmt::Display for BugReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, text)| writeln!(f, "{name}: {text}"))
    }
}

#[cfg(all(test, not(gateway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_every_feature_of_the_manifest() {
        let manifest = include_str!("../Cargo.toml");
        let table = manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
        let lines = table.lines().filter_map(|line| line.split_once(" = "));
        let mut names: Vec<&str> = lines.map(|(name, _)| name).filter(|name| *name != "default").collect();
        names.sort_unstable();
        assert_eq!(FEATURES.map(|(name, _)| name).to_vec(), names);
    }

    #[test]
    fn a_report_has_one_line_for_each_fact() {
        let pool = Pool::builder().threads(3).queue(7).build().unwrap();
        let report = BugReport::of(&pool).to_string();
        assert!(report.contains("\npool: 3 threads at most, "), "{report}");
        assert!(report.contains("a queue of 7\n"), "{report}");
        for line in report.lines() {
            let (name, text) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            assert!(!name.is_empty() && !text.is_empty() && !text.contains('\r'), "{line:?}");
        }
        assert!(report.lines().any(|line| line == format!("gateway: {}", env!("CARGO_PKG_VERSION"))), "{report}");
    }
}
