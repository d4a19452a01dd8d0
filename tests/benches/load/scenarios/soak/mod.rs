//! A load of twice the capacity for a chosen time, of all kinds of clients, in Rust and in Python. What the server
//! takes has to stay level, and each request is accounted for.

mod charts;
mod clients;
mod kinds;
mod ledger;
mod pages;
mod samples;
mod sockets;

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use self::kinds::KINDS;
use self::ledger::Ends;
use self::pages::Record;
use super::Scenario;
use crate::lab::{Contender, Lab};
use crate::report::{self, Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario = Scenario {
    asked_for: true,
    longest: |lab| length(lab) + warm_up(lab) + Duration::from_secs(300),
    ..Scenario::new(NAME, load, |lab, contender| Box::pin(run(lab, contender))).alone()
};

pub(crate) const NAME: &str = "soak";

/// The threads of the server's pool.
const THREADS: f64 = 4.0;

/// The blocking threads of the runtime end ten seconds after their last work.
const IDLE: Duration = Duration::from_secs(12);

fn length(lab: &Lab) -> Duration {
    match lab.quick {
        true => Duration::from_secs(20),
        false => Duration::from_secs(60 * lab.minutes),
    }
}

/// After it, all threads have been started, and all code has run.
fn warm_up(lab: &Lab) -> Duration {
    Duration::from_secs(60).min(length(lab))
}

fn load(_: bool) -> String {
    let clients: u32 = KINDS.iter().map(|kind| kind.clients).sum();
    format!(
        "{clients} clients ask for more than twice the time that four threads have: fast and slow requests, failures, \
         panics, large responses, slow, stalled and broken uploads, clients that leave or take nothing, HTTP/2, Flask \
         and Django, with WebSockets beside them."
    )
}

/// Measures, or takes the last results; writes them into the book if that is asked for.
async fn run(lab: &Lab, _: Contender) -> anyhow::Result<Sheet> {
    if lab.render {
        let mut sheet = Sheet::default();
        sheet.note("the results of the last run");
        pages::write(&pages::load(&lab.folder)?)?;
        return Ok(sheet);
    }
    let (sheet, mut record) = measure(lab).await?;
    let result = [(Contender::Gateway.name(), Ok(sheet))];
    (record.report, _) = report::tell(NAME, &load(lab.quick), &result);
    pages::save(&lab.folder, &record)?;
    if lab.write {
        pages::write(&record)?;
    }
    println!("{}", ledger::table(&record.rows));
    let [(_, sheet)] = result;
    sheet
}

async fn measure(lab: &Lab) -> anyhow::Result<(Sheet, Record)> {
    let mut server = lab.start_soak().await?;
    let (warm, length) = (warm_up(lab), length(lab));
    let (mut ends, warm_messages) =
        tokio::try_join!(clients::ask(server.address, warm, 0), sockets::ask(server.address, warm))?;
    sleep(IDLE).await;
    let (before, _) = samples::sample(&server).await?;
    let (load, messages, samples) = tokio::try_join!(
        clients::ask(server.address, length, 1),
        sockets::ask(server.address, length),
        samples::watch(&server, length)
    )?;
    ends.add(&load);
    let messages = (warm_messages + messages) as f64;
    let (after, state) = samples::settle(&server, &before).await?;
    server.process.terminate()?;
    let status = server.process.ended(Duration::from_secs(30)).await?.context("the server did not stop within 30 s")?;

    let mut sheet = Sheet::default();
    sheet.put(
        "thread time asked for, of that of the pool",
        thread_time(&load).as_secs_f64() / length.as_secs_f64() / THREADS,
        Unit::Times,
        Limit::AtLeast(2.0),
    );
    ledger::compare(&ends, &state, &mut sheet);
    sheet.put("messages of WebSockets that came back", messages, Unit::Count, Limit::AtLeast(1.0));
    let counted = state.value("soak_messages_total") - messages;
    sheet.put("counted by the server, beyond these", counted, Unit::Count, Limit::Exactly(0.0));
    samples::compare(&samples, &mut sheet);
    samples::compare_idle(&before, &after, &mut sheet);
    sheet.put("exit code", status.code().map_or(f64::NAN, f64::from), Unit::Count, Limit::Exactly(0.0));
    let record = Record::new(length, samples, ledger::rows(&ends, &state));
    Ok((sheet, record))
}

/// How long the requests sleep on threads that are admitted, if all of them are.
fn thread_time(ends: &Ends) -> Duration {
    let times = KINDS.iter().map(|kind| ends.of(kind.mount) as f64 * f64::from(kind.holds));
    Duration::from_secs_f64(times.sum::<f64>() / 1e3)
}
