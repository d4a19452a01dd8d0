//! The results as Markdown, for the terminal and for the book.

use std::fmt::Write as _;

use super::results::{Figure, Results, Round, Sheet, Spread};
use super::target::{Bound, Target};
use crate::targets;

/// The results page of the book.
pub(crate) fn page(results: &Results, charts: &str) -> String {
    let (targets, sheets) = (targets(&targets::of(results), results.quick), sheets(results, Some(charts)));
    format!("{}{targets}{sheets}", setting(results)).lines().map(wrapped).collect()
}

/// The line, or its lines if it is prose that is wider than a page of the book's sources.
fn wrapped(line: &str) -> String {
    const COLUMNS: usize = 120;
    if line.starts_with(['|', '!']) {
        return format!("{line}\n");
    }
    let indent = if line.starts_with("* ") { "  " } else { "" };
    let (mut text, mut width) = (String::new(), 0);
    for word in line.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > COLUMNS {
            let _ = write!(text, "\n{indent}{word}");
            width = indent.len() + length;
        } else {
            let space = if width > 0 { " " } else { "" };
            let _ = write!(text, "{space}{word}");
            width += space.len() + length;
        }
    }
    text + "\n"
}

/// The tables of figures, with charts only if a path for them is given.
pub(crate) fn sheets(results: &Results, charts: Option<&str>) -> String {
    let mut text = String::new();
    for sheet in &results.sheets {
        let _ = write!(text, "\n### {}\n\n{}\n", sheet.name, sheet.about);
        if let Some(folder) = charts {
            let _ = write!(text, "\n![{}, as a chart]({folder}/{}.svg)\n", sheet.name, sheet.name);
        }
        text.push_str(&if sheet.axis.is_some() { curves(sheet) } else { table(sheet) });
    }
    if !results.singles.is_empty() {
        text.push_str("\n### Memory\n\n| figure | |\n|---|---:|\n");
        for single in &results.singles {
            let _ = writeln!(text, "| {} | {:.1} {} |", single.name, single.value, single.unit);
        }
    }
    text
}

/// The machine, the versions and the settings with which the figures were measured.
pub(crate) fn setting(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<String> = results.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut text = format!(
        "{}, on {} cores of {} with {} GiB of memory, Linux {}; {}. Each figure is the median of {} {} of {} s, with the \
         lowest and the highest.\n",
        results.date,
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        versions.join(", "),
        results.rounds,
        of_one("rounds", results.rounds as u64),
        results.seconds,
    );
    if results.quick {
        text.push_str("\n**This was a quick run, which shows that everything works. Its figures mean nothing.**\n");
    }
    text
}

/// The table of targets; a quick run judges no target.
pub(crate) fn targets(targets: &[Target], quick: bool) -> String {
    let has_floors = targets.iter().any(|target| target.floor.is_some());
    let (title, rule) = if has_floors { (" a bare hop |", "---:|") } else { ("", "") };
    let mut text = format!(
        "\n### Targets\n\n| id | what | target | measured | lowest to highest |{title} |\n|---|---|---:|---:|---:|{rule}---|\n"
    );
    for target in targets {
        let unit = target.unit;
        let bound = match target.bound {
            Bound::AtLeast(least) => format!("≥ {least}{unit}"),
            Bound::AtMost(most) => format!("≤ {most}{unit}"),
        };
        let (measured, range) = match target.measured {
            None => ("–".to_owned(), String::new()),
            Some(spread) if spread.median.is_nan() => ("failed".to_owned(), String::new()),
            Some(spread) => (format!("{:.2}{unit}", spread.median), format!("{:.2} to {:.2}", spread.low, spread.high)),
        };
        let verdict = match target.is_met() {
            None => "not measured",
            Some(_) if quick => "not judged",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let floor = match target.floor {
            Some(spread) => format!(" {:.2}{unit} |", spread.median),
            None if has_floors => " |".to_owned(),
            None => String::new(),
        };
        let _ =
            writeln!(text, "| {} | {} | {bound} | {measured} | {range} |{floor} {verdict} |", target.id, target.what);
    }
    text
}

/// A table of all figures of each row.
fn table(sheet: &Sheet) -> String {
    let of = &sheet.yardstick;
    let mut text = format!(
        "\n| | requests/s | of {of} | CPU per request | of {of} | p50 | p99 | peak memory |\n|---|{}\n",
        "---:|".repeat(7)
    );
    for row in &sheet.rows {
        let ratio = |figure: Figure| {
            let ratio = sheet.yardstick(row).map(|other| row.ratio(other, figure));
            ratio.map_or_else(|| "–".to_owned(), |ratio| show(ratio, RATIO))
        };
        let cells = [
            show(row.spread(Round::per_second), COUNT),
            ratio(Round::per_second),
            show(row.spread(|round| round.cpu_us), MICROSECONDS),
            ratio(|round| round.cpu_us),
            show(row.spread(|round| round.p50_ms), MILLISECONDS),
            show(row.spread(|round| round.p99_ms), MILLISECONDS),
            show(row.spread(|round| round.peak_mib), MEBIBYTES),
        ];
        let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
    }
    text.push_str(&notes(sheet));
    text
}

const CURVES: [(&str, Figure, Unit); 2] =
    [("requests/s", Round::per_second, COUNT), ("CPU per request", |round| round.cpu_us, MICROSECONDS)];

/// Tables of throughput and CPU time, by the positions on the axis.
fn curves(sheet: &Sheet) -> String {
    let (places, axis) = (sheet.places(), sheet.axis.as_deref().unwrap_or_default());
    let mut text = String::new();
    for (title, figure, unit) in CURVES {
        let heads: Vec<String> = places.iter().map(|place| format!("{place} {}", of_one(axis, *place))).collect();
        let _ = write!(text, "\n| {title} | {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(places.len()));
        for name in sheet.names() {
            let cells = places.iter().map(|&place| {
                let row = sheet.row(name, Some(place));
                row.map_or_else(|| "–".to_owned(), |row| show(row.spread(figure), unit))
            });
            let _ = writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    text.push_str(&notes(sheet));
    text
}

/// The name of the axis for a count, in the singular or the plural.
fn of_one(axis: &str, count: u64) -> &str {
    if count == 1 { axis.strip_suffix('s').unwrap_or(axis) } else { axis }
}

/// Remarks on rows whose figures are missing or do not include all clients.
fn notes(sheet: &Sheet) -> String {
    let mut text = String::new();
    for row in &sheet.rows {
        let name = row.at.map_or_else(|| row.name.clone(), |at| format!("{} at {at}", row.name));
        let sum = |count: fn(&Round) -> u64| row.rounds.iter().map(count).sum::<u64>();
        let (refused, broken) = (sum(|round| round.refused), sum(|round| round.broken));
        let (answered, all) = (row.answered_connections(), row.connections);
        if refused + broken > 0 {
            let _ = writeln!(
                text,
                "* {name} does not count: {refused} responses of 400 and above, {broken} failed connections and timeouts."
            );
        } else if answered < FAR_TOO_FEW * all as f64 {
            let _ = writeln!(
                text,
                "* {name}: of {all} connections, {answered:.0} had answers at a time. What the others asked for was not answered \
                 before the end, and is in no figure."
            );
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Below this share of the connections, some were certainly left out. A smaller deviation may come from wrk: if wrk is
/// short of CPU time, a connection spends as long between a response and the next request as on the request.
const FAR_TOO_FEW: f64 = 0.25;

/// The format of a figure: its number, and its unit.
type Unit = (fn(f64) -> String, &'static str);

const COUNT: Unit = (count, "");
const RATIO: Unit = (|value| format!("{value:.2}"), "");
const MICROSECONDS: Unit = (|value| format!("{value:.1}"), " µs");
const MILLISECONDS: Unit = (|value| format!("{value:.2}"), " ms");
const MEBIBYTES: Unit = (|value| format!("{value:.1}"), " MiB");

/// A median with its minimum and maximum.
fn show(spread: Spread, (number, unit): Unit) -> String {
    if spread.median.is_nan() {
        return "failed".to_owned();
    }
    let (low, median, high) = (number(spread.low), number(spread.median), number(spread.high));
    if low == high { format!("{median}{unit}") } else { format!("{median}{unit} ({low}–{high})") }
}

/// A whole number with thousands separators.
fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
