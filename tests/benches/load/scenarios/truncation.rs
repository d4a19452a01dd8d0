//! Responses that fail after a part of the body.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Scenario;
use crate::client::{Connection, Outcome, answers, get};
use crate::frames::{StreamEnd, end_of, headers, open};
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet};

pub(crate) const SCENARIO: Scenario = Scenario::new("truncation", load, |lab, contender| Box::pin(run(lab, contender)));

fn failures(quick: bool) -> usize {
    if quick { 200 } else { 1000 }
}

/// The number of concurrent requests; the queue of a gateway holds them all, so that no request is refused.
const AT_ONCE: usize = 8;

#[derive(Clone, Copy)]
enum Way {
    Chunked,
    Length,
    Http2,
}

/// What the client received.
enum Seen {
    Incomplete,
    /// A response of status 500: the server knew of the failure before it sent the head.
    Error,
    Complete,
}

fn load(quick: bool) -> String {
    let failures = failures(quick);
    format!(
        "{failures} responses on each protocol fail after four bytes, half of them by an error and half by a panic; the \
         client must be able to tell that the response is incomplete."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let all = failures(lab.quick);
    for (way, detected, errors) in [
        (Way::Chunked, "HTTP/1.1 chunked: seen to be incomplete", "HTTP/1.1 chunked: of them 500"),
        (Way::Length, "HTTP/1.1 with length: seen to be incomplete", "HTTP/1.1 with length: of them 500"),
        (Way::Http2, "HTTP/2: seen to be incomplete", "HTTP/2: of them 500"),
    ] {
        let (mut incomplete, mut failed) = (0, 0);
        let mut tasks = JoinSet::new();
        for worker in 0..AT_ONCE {
            let address = server.address;
            tasks.spawn(async move {
                let mut seen = Vec::new();
                for number in (worker..all).step_by(AT_ONCE) {
                    let how = if number % 16 < 8 { "error" } else { "panic" };
                    let one = timeout(Duration::from_secs(5), fail(address, way, how));
                    seen.push(one.await.context("the request did not end within 5 s")??);
                }
                anyhow::Ok(seen)
            });
        }
        while let Some(seen) = tasks.join_next().await {
            for seen in seen?? {
                match seen {
                    Seen::Incomplete => incomplete += 1,
                    Seen::Error => failed += 1,
                    Seen::Complete => {}
                }
            }
        }
        sheet.count(detected, incomplete + failed, Limit::Exactly(all as f64));
        sheet.count(errors, failed, Limit::None);
    }
    sheet.count("then /ok answers", answers(server.address, "/ok").await, Limit::Exactly(1.0));
    Ok(sheet)
}

async fn fail(address: SocketAddr, way: Way, how: &str) -> anyhow::Result<Seen> {
    let length = u8::from(matches!(way, Way::Length));
    let target = format!("/raise-mid?how={how}&cl={length}");
    if matches!(way, Way::Http2) {
        let mut connection = open(address).await?;
        connection.write_all(&headers(1, &target)).await?;
        return Ok(match end_of(&mut connection, 1).await {
            StreamEnd::Failed => Seen::Error,
            StreamEnd::Complete => Seen::Complete,
            StreamEnd::Aborted => Seen::Incomplete,
        });
    }
    Ok(match Connection::open(address).await?.exchange(&get(&target)).await {
        Outcome::Answered(reply) if reply.status == 500 => Seen::Error,
        Outcome::Answered(_) => Seen::Complete,
        Outcome::Cut | Outcome::Unanswered => Seen::Incomplete,
    })
}
