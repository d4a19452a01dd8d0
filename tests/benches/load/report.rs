//! The report as Markdown: figures, limits, and the figures of other servers.

use std::fmt::Write as _;

use crate::process::Usage;

/// The unit of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Count,
    Milliseconds,
    Seconds,
    /// Growth in mebibytes; the value is in bytes.
    Growth,
    Kilobytes,
    /// A ratio.
    Times,
}

/// The limit that a figure has to meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    None,
    AtMost(f64),
    /// At most the figure of the named server, if that server is in the same run.
    AtMostOf(&'static str),
    AtLeast(f64),
    Exactly(f64),
    Between(f64, f64),
}

#[derive(Debug)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: Unit,
    limit: Limit,
}

/// The figures of one server in one scenario.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Unit {
    fn show(self, value: f64) -> String {
        if value.is_nan() {
            return "none".to_owned();
        }
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Growth => format!("{:.1} MiB", (value / f64::from(1 << 20) * 10.0).round() / 10.0 + 0.0),
            Self::Kilobytes => format!("{:.1} kB", value / 1e3),
            Self::Times => format!("{value:.2} ×"),
        }
    }
}

impl Limit {
    /// Whether a value meets the limit; NaN does not.
    fn holds(self, value: f64) -> bool {
        match self {
            Self::None | Self::AtMostOf(_) => true,
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Exactly(exact) => (value - exact).abs() < 0.5,
            Self::Between(least, most) => (least..=most).contains(&value),
        }
    }

    /// Replaces a limit that refers to another server by that server's figure.
    fn against(self, name: &str, sheets: &[(&str, &Sheet)]) -> Self {
        let Self::AtMostOf(other) = self else { return self };
        let other = sheets.iter().find(|(server, _)| *server == other).and_then(|(_, sheet)| sheet.of(name));
        other.map_or(Self::None, |figure| Self::AtMost(figure.value))
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::None => String::new(),
            Self::AtMost(most) => format!("≤ {}", unit.show(most)),
            Self::AtMostOf(other) => format!("≤ {other}"),
            Self::AtLeast(least) => format!("≥ {}", unit.show(least)),
            Self::Exactly(exact) => unit.show(exact),
            Self::Between(least, most) => format!("{} to {}", unit.show(least), unit.show(most)),
        }
    }
}

impl Sheet {
    pub(crate) fn put(&mut self, name: &'static str, value: f64, unit: Unit, limit: Limit) {
        self.figures.push(Figure { name, value, unit, limit });
    }

    /// Records a count.
    pub(crate) fn count(&mut self, name: &'static str, value: impl TryInto<u32>, limit: Limit) {
        self.put(name, value.try_into().map_or(f64::NAN, f64::from), Unit::Count, limit);
    }

    /// Records the resources of a server after the load: threads and files must not have increased, and memory may have
    /// grown by at most `most_growth`.
    pub(crate) fn resources(&mut self, before: &Usage, after: &Usage, most_growth: f64) {
        self.put("memory grew by", after.growth(before), Unit::Growth, Limit::AtMost(most_growth));
        self.count("threads before", before.threads, Limit::None);
        self.count("threads after", after.threads, Limit::Exactly(before.threads as f64));
        self.count("open files before", before.files, Limit::None);
        self.count("open files after", after.files, Limit::Exactly(before.files as f64));
    }

    /// Adds a remark for the reader of the figures.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn of(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// Prints the results of the servers under one load; the limits apply to the first server. Returns the number of missed
/// limits.
pub(crate) fn print(scenario: &str, load: &str, results: &[(&str, anyhow::Result<Sheet>)]) -> usize {
    let (text, missed) = tell(scenario, load, results);
    println!("{text}");
    missed
}

/// The results as Markdown, and the number of missed limits.
pub(crate) fn tell(scenario: &str, load: &str, results: &[(&str, anyhow::Result<Sheet>)]) -> (String, usize) {
    let mut missed = 0;
    let mut text = format!("### {scenario}\n\n{load}\n");
    let sheets: Vec<(&str, &Sheet)> =
        results.iter().filter_map(|(name, sheet)| Some((*name, sheet.as_ref().ok()?))).collect();
    let held = results.first().map_or("", |(name, _)| *name);
    let mut names: Vec<&'static str> = Vec::new();
    for figure in sheets.iter().flat_map(|(_, sheet)| &sheet.figures) {
        if !names.contains(&figure.name) {
            names.push(figure.name);
        }
    }
    if !names.is_empty() {
        let servers: Vec<&str> = sheets.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(text, "\n| figure | limit | held | {} |", servers.join(" | "));
        let _ = writeln!(text, "|---|---|---|{}", "---:|".repeat(servers.len()));
    }
    for name in names {
        let own = sheets.first().filter(|(server, _)| *server == held).and_then(|(_, sheet)| sheet.of(name));
        let (limit, verdict) = match own {
            Some(figure) if matches!(figure.limit, Limit::None) => (String::new(), ""),
            Some(figure) if figure.limit.against(name, &sheets).holds(figure.value) => {
                (figure.limit.show(figure.unit), "met")
            }
            Some(figure) => {
                missed += 1;
                (figure.limit.show(figure.unit), "**missed**")
            }
            None => (String::new(), ""),
        };
        let values = sheets.iter().map(|(_, sheet)| match sheet.of(name) {
            Some(figure) => figure.unit.show(figure.value),
            None => "–".to_owned(),
        });
        let _ = writeln!(text, "| {name} | {limit} | {verdict} | {} |", values.collect::<Vec<_>>().join(" | "));
    }
    let notes: Vec<String> = results
        .iter()
        .flat_map(|(server, sheet)| match sheet {
            Ok(sheet) => sheet.notes.iter().map(|note| format!("{server}: {note}")).collect(),
            Err(error) => vec![format!("{server} failed: {error:#}")],
        })
        .collect();
    if results.first().is_some_and(|(_, sheet)| sheet.is_err()) {
        missed += 1;
    }
    for (at, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}* {note}", if at == 0 { "\n" } else { "" });
    }
    (text, missed)
}
