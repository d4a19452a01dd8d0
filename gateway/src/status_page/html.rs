//! The status page for browsers: one column, light or dark, without scripts and other resources.
//!
//! Threads: runtime.

use std::fmt;
use std::time::Duration;

use crate::status_page::text::lines;
use crate::status_page::{PoolReport, Report, VERSION, client, state};

/// Contrasts are 5:1 and more, in both schemes.
const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1b1f;--soft:#55555e;--line:#d5d5dc;--ground:#fff;--good:#0b6630;--bad:#a3160f}
@media(prefers-color-scheme:dark){
:root{--ink:#e9e9ee;--soft:#b2b2bd;--line:#3a3a42;--ground:#151518;--good:#79d297;--bad:#ff9a91}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:46rem;padding:1rem;background:var(--ground);color:var(--ink);
font:1rem/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.25rem;margin:2rem 0 .5rem;padding-top:1rem;border-top:2px solid var(--line);overflow-wrap:anywhere}
h3{font-size:1rem;margin:1.25rem 0 .25rem}p{margin:.25rem 0;color:var(--soft)}
.good{color:var(--good)}.bad{color:var(--bad)}
div{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .75rem .3rem 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}thead th,.unit{color:var(--soft);font-weight:400}td:first-child{overflow-wrap:anywhere}
tr>:last-child{padding-right:0}
th.number,td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
";

pub(super) fn render(report: &Report) -> String {
    let pools: String = report.pools.iter().map(section).collect();
    let uptime = uptime(report.uptime);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Status</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Status</h1>\n<p>gateway {VERSION}, up for {uptime}</p>\n{pools}</body>\n</html>\n"
    )
}

fn section(pool: &PoolReport) -> String {
    let state = state(&pool.stats);
    let class = if state == "ready" { "good" } else { "bad" };
    let figures = lines(&pool.stats).into_iter().skip(1).map(|(name, value, unit)| {
        // A space lets the browser break a long name.
        let name = name.replace('_', " ");
        row(&[("", &name), ("number", &value), ("unit", &unit)])
    });
    let mounts = pool.mounts.iter().map(|mount| {
        let class = if mount.errors > 0 { "number bad" } else { "number" };
        row(&[("", &Escaped(&mount.name)), ("number", &mount.requests), (class, &mount.errors)])
    });
    let running = pool.running.iter().map(|job| {
        let class = if job.is_orphaned { "bad" } else { "" };
        let seconds = format!("{:.3}", job.age.as_secs_f64());
        row(&[("", &Escaped(&job.mount)), ("number", &seconds), ("", &Escaped(&job.thread)), (class, &client(job))])
    });
    format!(
        "<section>\n<h2>{}: <span class=\"{class}\">{state}</span></h2>\n{}<h3>Mounts</h3>\n{}\
         <h3>Running requests</h3>\n{}</section>\n",
        Escaped(&pool.name),
        table(&[("figure", ""), ("value", "number"), ("unit", "")], figures, ""),
        table(&[("mount", ""), ("requests", "number"), ("errors", "number")], mounts, "No request yet."),
        table(&[("mount", ""), ("seconds", "number"), ("thread", ""), ("client", "")], running, "None."),
    )
}

/// A row of cells, each with its class and its content.
fn row(cells: &[(&str, &dyn fmt::Display)]) -> String {
    let cells = cells.iter().map(|(class, content)| format!("<td class=\"{class}\">{content}</td>"));
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// A table with these columns, or the text if there is no row.
fn table(columns: &[(&str, &str)], rows: impl Iterator<Item = String>, empty: &str) -> String {
    let rows: String = rows.collect();
    if rows.is_empty() {
        return format!("<p>{empty}</p>\n");
    }
    let head = columns.iter().map(|(name, class)| format!("<th scope=\"col\" class=\"{class}\">{name}</th>"));
    let head: String = head.collect();
    format!("<div><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}

/// The two largest units.
fn uptime(uptime: Duration) -> String {
    let seconds = uptime.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days} d {} h", hours % 24),
        (_, 1.., _) => format!("{hours} h {} min", minutes % 60),
        (_, _, 1..) => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{seconds} s"),
    }
}

/// Text of the program, such as names, with its markup characters escaped.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            _ => write!(f, "{character}"),
        })
    }
}
