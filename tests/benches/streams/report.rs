//! Prints the results of a run as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::feature::Feature;
use crate::reference::Request;
use crate::server::Server;
use crate::stream::Stream;
use crate::tolerated::reason;
use crate::verdict::{After, Fault, Outcome, Verdict, text};

/// The verdicts on one stream, by server.
pub(crate) struct Row {
    pub(crate) stream: Stream,
    /// The requests of the stream, from the reference parser.
    pub(crate) requests: Vec<Request>,
    pub(crate) verdicts: Vec<(Server, Verdict)>,
}

/// The maximum number of faults that are printed in full for each server.
const MOST_SHOWN: usize = 12;

#[derive(Default)]
struct Column {
    answers: usize,
    accepted: usize,
    refused: usize,
    failed: usize,
    unanswered: usize,
    usable: usize,
    beyond: usize,
    bodies: usize,
    poisoned: usize,
}

/// Streams with the same outcome, grouped by the features of the request concerned.
type Groups<'r> = BTreeMap<Vec<Feature>, Vec<&'r Stream>>;

/// Prints the report, and returns the number of missed limits.
pub(crate) fn print(rows: &[Row], servers: &[Server]) -> usize {
    let mut text = String::new();
    let missed =
        columns(&mut text, rows, servers) + outvoted(&mut text, rows) + accepted_where_most_refuse(&mut text, rows);
    refused_where_all_accept(&mut text, rows);
    faults(&mut text, rows, servers);
    println!("{text}");
    missed
}

fn columns(text: &mut String, rows: &[Row], servers: &[Server]) -> usize {
    let columns: Vec<Column> = servers.iter().map(|server| column(rows, *server)).collect();
    let names: Vec<&str> = servers.iter().map(|server| server.name()).collect();
    let _ = writeln!(text, "| figure | limit | {} |\n|---|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    let mut missed = 0;
    let mut line = |name: &str, is_held: bool, figure: &dyn Fn(&Column) -> usize| {
        let values: Vec<usize> = columns.iter().map(figure).collect();
        let cells: Vec<String> = values
            .iter()
            .zip(servers)
            .map(|(value, server)| {
                let is_missed = is_held && server.is_own() && *value > 0;
                missed += usize::from(is_missed);
                if is_missed { format!("**{value}**") } else { value.to_string() }
            })
            .collect();
        let _ = writeln!(text, "| {name} | {} | {} |", if is_held { "0" } else { "" }, cells.join(" | "));
    };
    line("answers", false, &|column| column.answers);
    line("requests accepted", false, &|column| column.accepted);
    line("requests refused (4xx, 501, 505)", false, &|column| column.refused);
    line("requests failed (other 5xx)", false, &|column| column.failed);
    line("requests without an answer", false, &|column| column.unanswered);
    line("connections usable afterwards", false, &|column| column.usable);
    line("answers beyond requests", true, &|column| column.beyond);
    line("bodies that differ", true, &|column| column.bodies);
    line("poisoned connections", true, &|column| column.poisoned);
    missed
}

fn column(rows: &[Row], server: Server) -> Column {
    let mut column = Column::default();
    for verdict in rows.iter().filter_map(|row| row.of(server)) {
        column.answers += verdict.answers;
        for outcome in &verdict.outcomes {
            match outcome {
                Outcome::Accepted(_) => column.accepted += 1,
                Outcome::Refused(..=499 | 501 | 505) => column.refused += 1,
                Outcome::Refused(_) => column.failed += 1,
                Outcome::Unanswered => column.unanswered += 1,
            }
        }
        column.usable += usize::from(verdict.after == After::Usable);
        match &verdict.fault {
            Some(Fault::Beyond(_)) => column.beyond += 1,
            Some(Fault::Body(_)) => column.bodies += 1,
            Some(Fault::Poisoned(_)) => column.poisoned += 1,
            None => {}
        }
    }
    column
}

/// Bodies that the gateway received differently from all other servers that accepted them (at least two, which agree),
/// regardless of the reference.
fn outvoted(text: &mut String, rows: &[Row]) -> usize {
    let mut numbers = Vec::new();
    for row in rows {
        for at in 0..row.requests.len() {
            let Some(Outcome::Accepted(own)) = row.outcome(Server::Gateway, at) else { continue };
            let others: Vec<&String> = row
                .others(at)
                .filter_map(|outcome| if let Outcome::Accepted(body) = outcome { Some(body) } else { None })
                .filter(|body| body.as_str() != "?")
                .collect();
            if others.len() > 1 && own != "?" && others.iter().all(|body| *body == others[0] && *body != own) {
                numbers.push(row.stream.number);
            }
        }
    }
    let _ = writeln!(
        text,
        "\nBodies that all others who accept have seen otherwise than the gateway (limit 0): {} {numbers:?}",
        numbers.len()
    );
    usize::from(!numbers.is_empty())
}

/// Reports groups that the gateway accepts and most other servers refuse; returns the number of groups without a
/// reason.
fn accepted_where_most_refuse(text: &mut String, rows: &[Row]) -> usize {
    let groups = groups(rows, |own, others| {
        let refusing = others.iter().filter(|outcome| !matches!(outcome, Outcome::Accepted(_))).count();
        matches!(own, Outcome::Accepted(_)) && others.len() > 1 && refusing * 2 > others.len()
    });
    // A feature that is a sufficient reason represents all groups that contain it.
    let mut lines: BTreeMap<(Option<&str>, String), (usize, u64)> = BTreeMap::new();
    for (features, streams) in &groups {
        let reason = reason(features);
        let name = if reason.is_some() { String::new() } else { format!("{features:?}") };
        let line = lines.entry((reason, name)).or_insert((0, streams[0].number));
        line.0 += streams.len();
    }
    let _ = writeln!(
        text,
        "\nAccepted where most of the others refuse:\n\n| streams | for example | features | reason |\n|---:|---:|---|---|"
    );
    let mut missing = 0;
    for ((reason, name), (count, example)) in &lines {
        missing += usize::from(reason.is_none());
        let _ = writeln!(text, "| {count} | {example} | {name} | {} |", reason.unwrap_or("**none**"));
    }
    if lines.is_empty() {
        let _ = writeln!(text, "| 0 | | | |");
    }
    let _ = writeln!(text, "\nGroups without a reason (limit 0): {missing}");
    usize::from(missing > 0)
}

fn refused_where_all_accept(text: &mut String, rows: &[Row]) {
    let groups = groups(rows, |own, others| {
        let is_accepted = |outcome: &&Outcome| matches!(outcome, Outcome::Accepted(_));
        !is_accepted(&own) && others.len() > 1 && others.iter().all(is_accepted)
    });
    let _ = writeln!(
        text,
        "\nRefused where all of the others accept:\n\n| streams | for example | features |\n|---:|---:|---|"
    );
    for (features, streams) in &groups {
        let _ = writeln!(text, "| {} | {} | {features:?} |", streams.len(), streams[0].number);
    }
    if groups.is_empty() {
        let _ = writeln!(text, "| 0 | | |");
    }
}

/// For each stream, the first request whose outcomes satisfy `is_one`.
fn groups(rows: &[Row], is_one: impl Fn(&Outcome, &[&Outcome]) -> bool) -> Groups<'_> {
    let mut groups = Groups::new();
    for row in rows {
        for (at, request) in row.requests.iter().enumerate() {
            let Some(own) = row.outcome(Server::Gateway, at) else { break };
            let others: Vec<&Outcome> = row.others(at).collect();
            if is_one(own, &others) {
                groups.entry(request.features.clone()).or_default().push(&row.stream);
                break;
            }
        }
    }
    groups
}

fn faults(text: &mut String, rows: &[Row], servers: &[Server]) {
    for server in servers {
        let mut shown = 0;
        for row in rows {
            let Some(Verdict { fault: Some(fault), .. }) = row.of(*server) else { continue };
            shown += 1;
            if shown <= if server.is_own() { MOST_SHOWN } else { 3 } {
                let _ = writeln!(
                    text,
                    "\n* {}, stream {} ({}): {fault}",
                    server.name(),
                    row.stream.number,
                    row.stream.mutations.join(", ")
                );
                let _ = writeln!(text, "  `{}`", self::text(&row.stream.bytes[..row.stream.bytes.len().min(700)]));
            }
        }
    }
}

impl Row {
    pub(crate) fn of(&self, server: Server) -> Option<&Verdict> {
        self.verdicts.iter().find(|(other, _)| *other == server).map(|(_, verdict)| verdict)
    }

    /// The outcome of a request on a server that accepted all earlier requests and sent no response that belongs to
    /// other bytes.
    fn outcome(&self, server: Server, at: usize) -> Option<&Outcome> {
        let verdict = self.of(server)?;
        let before = verdict.outcomes.get(..at)?;
        let is_comparable = before.iter().all(|outcome| matches!(outcome, Outcome::Accepted(_)));
        // A later request without a response is not evidence: the server may have closed the connection because of the
        // request before it.
        verdict.outcomes.get(at).filter(|outcome| {
            is_comparable
                && !matches!(verdict.fault, Some(Fault::Beyond(_) | Fault::Poisoned(_)))
                && !(at > 0 && **outcome == Outcome::Unanswered)
        })
    }

    /// The outcomes of a request on the other servers.
    fn others(&self, at: usize) -> impl Iterator<Item = &Outcome> {
        Server::ALL.into_iter().filter(|server| !server.is_own()).filter_map(move |server| self.outcome(server, at))
    }
}
