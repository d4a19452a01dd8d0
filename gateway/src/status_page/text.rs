//! The status page as text.
//!
//! Threads: runtime.

use std::fmt::Write as _;

use crate::status_page::{Report, client, state};
use crate::{RunningJob, Stats};

pub(super) fn render(report: &Report) -> String {
    let mut figures = vec![["pool", "figure", "value", "unit"].map(str::to_owned)];
    let mut jobs = Vec::new();
    for pool in &report.pools {
        let lines = lines(&pool.stats);
        figures.extend(lines.map(|(name, value, unit)| [pool.name.clone(), name.to_owned(), value, unit]));
        jobs.extend(pool.running.iter().map(|job| (&*pool.name, job)));
    }
    jobs.sort_by_key(|(_, job)| std::cmp::Reverse(job.age));
    let mut running = vec![["pool", "mount", "seconds", "thread", "client"].map(str::to_owned)];
    running.extend(jobs.into_iter().map(|(pool, job)| line(pool, job)));
    format!("{}\n{}", table(&figures), table(&running))
}

/// The figures of a pool, each as name, value and unit.
pub(super) fn lines(stats: &Stats) -> [(&'static str, String, String); 16] {
    // Until the first job has ended, `service_time` is an initial guess.
    let service_time = match stats.completed {
        0 => "-".to_owned(),
        _ => format!("{:.3}", stats.service_time.as_secs_f64() * 1e3),
    };
    let threads = |name, count: usize| (name, count.to_string(), "threads".to_owned());
    let requests = |name, count: u64| (name, count.to_string(), "requests".to_owned());
    [
        ("state", state(stats), String::new()),
        ("threads", stats.threads.to_string(), format!("of {} threads", stats.max_threads)),
        threads("busy", stats.busy),
        threads("idle", stats.idle),
        threads("reserved", stats.reserved),
        threads("stuck", stats.stuck),
        threads("orphaned", stats.orphaned),
        ("queued", stats.queued.to_string(), format!("of {} places in the queue", stats.queue_limit)),
        ("service_time", service_time, "ms, moving average".to_owned()),
        requests("completed", stats.completed),
        requests("shed", stats.shed),
        requests("expired", stats.expired),
        requests("cancelled", stats.cancelled),
        requests("would_have_shed", stats.would_have_shed),
        requests("driven", stats.driven),
        ("held_drivers", stats.held_drivers.to_string(), "threads".to_owned()),
    ]
}

fn line(pool: &str, job: &RunningJob) -> [String; 5] {
    let seconds = format!("{:.3}", job.age.as_secs_f64());
    [pool.to_owned(), job.mount.clone(), seconds, job.thread.clone(), client(job).to_owned()]
}

/// The column of numbers, which is right-aligned.
const NUMBERS: usize = 2;

/// Rows as lines, with aligned columns.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let start = text.len();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Writing to a string cannot fail.
            let _ = match column {
                NUMBERS => write!(text, "{gap}{cell:>width$}"),
                _ => write!(text, "{gap}{cell:<width$}"),
            };
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
    text
}
