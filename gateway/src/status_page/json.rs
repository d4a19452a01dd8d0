//! The status page as JSON.
//!
//! Threads: runtime.

use std::fmt;

use crate::RunningJob;
use crate::observe::mount_counts::MountFigures;
use crate::status_page::{PoolReport, Report, VERSION, client, state};

pub(super) fn render(report: &Report) -> String {
    let uptime = report.uptime.as_secs();
    format!("{{\"version\":\"{VERSION}\",\"uptime_seconds\":{uptime},\"pools\":{}}}\n", list(&report.pools, pool))
}

fn pool(pool: &PoolReport) -> String {
    let stats = &pool.stats;
    let figures: [(&str, u64); 16] = [
        ("threads", stats.threads as u64),
        ("max_threads", stats.max_threads as u64),
        ("busy", stats.busy as u64),
        ("idle", stats.idle as u64),
        ("reserved", stats.reserved as u64),
        ("stuck", stats.stuck as u64),
        ("orphaned", stats.orphaned as u64),
        ("queued", stats.queued as u64),
        ("queue_limit", stats.queue_limit as u64),
        ("completed", stats.completed),
        ("shed", stats.shed),
        ("expired", stats.expired),
        ("cancelled", stats.cancelled),
        ("would_have_shed", stats.would_have_shed),
        ("driven", stats.driven),
        ("held_drivers", stats.held_drivers),
    ];
    let figures: Vec<String> = figures.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!(
        "{{\"name\":{},\"state\":{},{},\"service_time_seconds\":{:.6},\"mounts\":{},\"running\":{}}}",
        JsonString(&pool.name),
        JsonString(&state(stats)),
        figures.join(","),
        stats.service_time.as_secs_f64(),
        list(&pool.mounts, mount),
        list(&pool.running, job),
    )
}

fn mount(mount: &MountFigures) -> String {
    let MountFigures { name, requests, errors } = mount;
    format!("{{\"name\":{},\"requests\":{requests},\"errors\":{errors}}}", JsonString(name))
}

fn job(job: &RunningJob) -> String {
    format!(
        "{{\"mount\":{},\"seconds\":{:.3},\"thread\":{},\"client\":\"{}\"}}",
        JsonString(&job.mount),
        job.age.as_secs_f64(),
        JsonString(&job.thread),
        client(job),
    )
}

fn list<T>(items: &[T], item: fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(","))
}

/// A string of JSON (RFC 8259 §7).
struct JsonString<'t>(&'t str);

impl fmt::Display for JsonString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => write!(f, "{character}")?,
            }
        }
        f.write_str("\"")
    }
}
