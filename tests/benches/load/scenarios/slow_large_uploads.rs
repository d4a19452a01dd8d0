//! Large uploads that arrive slowly, four for each thread: with the defaults, and with a spool.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Scenario;
use crate::client::{Connection, Outcome, post_head};
use crate::lab::Lab;
use crate::probe::Probe;
use crate::report::{Limit, Sheet, Unit};

pub(crate) const DEFAULTS: Scenario = Scenario {
    longest: LONGEST,
    ..Scenario::new("slow-large-uploads", |quick| load(quick, false), |lab, _| Box::pin(run(lab, false))).alone()
};

pub(crate) const SPOOLED: Scenario = Scenario {
    longest: LONGEST,
    ..Scenario::new("slow-large-uploads-spooled", |quick| load(quick, true), |lab, _| Box::pin(run(lab, true))).alone()
};

const LONGEST: fn(&Lab) -> Duration = |_| Duration::from_secs(300);

/// Four uploads for each thread of the default pool.
const CLIENTS: usize = 256;
const BODY: usize = 1 << 20;
/// The number of bytes that each client sends per second.
const RATE: usize = 1024;
const LARGE: usize = 1 << 30;

fn seconds(quick: bool) -> u64 {
    if quick { 10 } else { 100 }
}

fn load(quick: bool, spool: bool) -> String {
    let bodies = if spool { "The bodies are spooled." } else { "All settings are the defaults." };
    format!(
        "{CLIENTS} clients, four for each thread, upload 1 MiB each at 1 KiB per second for {} s. Then one client \
         uploads 1 GiB as fast as it can beside them, and after that they send their rest at once. {bodies} (The body limit is higher.)",
        seconds(quick)
    )
}

async fn run(lab: &Lab, spool: bool) -> anyhow::Result<Sheet> {
    let mut options = vec!["--max-body", "2147483648"];
    options.extend(spool.then_some("--spool"));
    let server = lab.start_gateway(&options).await?;
    let mut sheet = Sheet::default();
    let quiet = Probe::start(server.address, "/ok", 20);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let quiet = quiet.stop().await?;
    let before = server.usage()?;
    let beside = Probe::start(server.address, "/ok", 20);
    let mut clients = JoinSet::new();
    let is_over = watch::Sender::new(false);
    for _ in 0..CLIENTS {
        clients.spawn(upload(server.address, is_over.subscribe()));
    }
    let end = Instant::now() + Duration::from_secs(seconds(lab.quick));
    let slow_growth = server.most_growth(&before, Duration::from_millis(250), || Instant::now() < end).await?;
    let beside_before = server.usage()?;
    let large = tokio::spawn(upload_fast(server.address));
    let goes_on = || !large.is_finished();
    let large_growth = server.most_growth(&beside_before, Duration::from_millis(50), goes_on).await?;
    let is_large_whole = large.await?.is_ok_and(|whole| whole);
    let beside = beside.stop().await?;
    is_over.send_replace(true);
    let mut whole = 0;
    while let Some(upload) = clients.join_next().await {
        whole += usize::from(upload?.is_ok_and(|whole| whole));
    }
    sheet.put("GET /ok on the idle server: p99", quiet.times.percentile(99), Unit::Milliseconds, Limit::None);
    sheet.put("GET /ok beside the load: failures", beside.failures as f64, Unit::Count, Limit::Exactly(0.0));
    sheet.put("GET /ok beside the load: p99", beside.times.percentile(99), Unit::Milliseconds, Limit::AtMost(50.0));
    sheet.count("slow uploads that were received whole", whole, Limit::Exactly(CLIENTS as f64));
    sheet.put("memory grew by, slow uploads", slow_growth, Unit::Growth, Limit::AtMost(16.0 * f64::from(1 << 20)));
    sheet.count("the fast upload was received whole", u8::from(is_large_whole), Limit::Exactly(1.0));
    sheet.put("memory grew by, fast upload", large_growth, Unit::Growth, Limit::AtMost(16.0 * f64::from(1 << 20)));
    Ok(sheet)
}

/// Sends a body slowly until the load is over, and then sends the rest. Returns whether the server has received the
/// whole body.
async fn upload(address: SocketAddr, is_over: watch::Receiver<bool>) -> io::Result<bool> {
    let mut connection = Connection::open(address).await?;
    connection.send(&post_head("/sum", BODY)).await?;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = BODY;
    while !*is_over.borrow() && left > RATE {
        ticks.tick().await;
        connection.send(&[b'x'; RATE]).await?;
        left -= RATE;
    }
    connection.send(&vec![b'x'; left]).await?;
    Ok(has(BODY, &timeout(Duration::from_secs(60), connection.reply()).await))
}

async fn upload_fast(address: SocketAddr) -> io::Result<bool> {
    let mut connection = Connection::open(address).await?;
    connection.send(&post_head("/sum", LARGE)).await?;
    let piece = vec![b'x'; 1 << 18];
    for _ in 0..LARGE / piece.len() {
        connection.send(&piece).await?;
    }
    Ok(has(LARGE, &timeout(Duration::from_secs(60), connection.reply()).await))
}

/// Whether the application has counted the given number of bytes.
fn has<E>(bytes: usize, outcome: &Result<Outcome, E>) -> bool {
    matches!(outcome, Ok(Outcome::Answered(reply)) if reply.status == 200
        && String::from_utf8_lossy(&reply.body).contains(&format!("\"bytes\":{bytes},")))
}
