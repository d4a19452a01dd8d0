//! Responses that the client does not read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Scenario;
use crate::client::{Connection, answers, count, fetch, get};
use crate::frames::{ends, headers, open_shut};
use crate::lab::{Contender, Lab};
use crate::report::{Limit, Sheet, Unit};

/// Streamed and file responses over HTTP/1; the clients do not even read the head.
pub(crate) const HTTP1: Scenario =
    Scenario::new("untaken-http1", http1_load, |lab, contender| Box::pin(http1(lab, contender))).alone();

/// Responses of one piece over HTTP/2, on one connection whose window is 0.
pub(crate) const HTTP2: Scenario =
    Scenario::new("untaken-http2", http2_load, |lab, contender| Box::pin(http2(lab, contender))).alone();

/// Responses of one piece over HTTP/1, each on its own connection.
pub(crate) const BODIES: Scenario =
    Scenario::new("untaken-bodies", bodies_load, |lab, contender| Box::pin(bodies(lab, contender))).alone();

/// The timeout after which the server ends a response that the client does not read.
const STALL: Duration = Duration::from_secs(5);

/// After the timeout, the server has to release its resources within this time: it checks at intervals of five seconds.
const SETTLED: Duration = Duration::from_secs(6);

const READERS: usize = 20;
const STREAMS: usize = 100;
const CLIENTS: usize = 200;
const BODY: &str = "/bytes?n=4194304";
const MEBIBYTE: f64 = 1_048_576.0;

fn http1_load(_: bool) -> String {
    format!(
        "{READERS} clients request a stream and {READERS} a file of 1 GiB, and read nothing; the write timeout is 5 s."
    )
}

async fn http1(lab: &Lab, _: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start_gateway(&["--threads", "64", "--write-stall-ms", "5000"]).await?;
    let mut sheet = Sheet::default();
    start_threads(server.address, 64).await?;
    let before = server.usage()?;
    let mut clients = Vec::new();
    for number in 0..2 * READERS {
        let target = if number % 2 == 0 { "/stream?n=1073741824" } else { "/file?n=1073741824" };
        let mut client = Connection::open_narrow(server.address).await?;
        client.send(&get(target)).await?;
        clients.push(client);
    }
    sleep(Duration::from_secs(2)).await;
    let most = server.usage()?;
    sleep(STALL + SETTLED - Duration::from_secs(2)).await;
    let after = server.usage()?;
    let open = count(server.address, "opened").await? - count(server.address, "closed").await?;
    sheet.put("memory grew by, at 2 s", most.growth(&before), Unit::Growth, Limit::None);
    sheet.count("open files more, at 2 s", most.files.saturating_sub(before.files), Limit::None);
    sheet.count("applications not released after 11 s", open, Limit::Exactly(0.0));
    sheet.count("open files more, after 11 s", after.files.saturating_sub(before.files), Limit::Exactly(0.0));
    // The allocator keeps memory that the threads have used, but the memory of the connections must be released.
    sheet.put("memory grew by, after 11 s", after.growth(&before), Unit::Growth, Limit::AtMost(8.0 * MEBIBYTE));
    drop(clients);
    Ok(sheet)
}

fn http2_load(_: bool) -> String {
    format!(
        "One HTTP/2 connection with windows of 0 requests 4 MiB in one piece {STREAMS} times; the queue timeout is 2 s, \
         the write timeout 5 s."
    )
}

async fn http2(lab: &Lab, _: Contender) -> anyhow::Result<Sheet> {
    let options = ["--threads", "4", "--queue", "128", "--queue-timeout-ms", "2000", "--write-stall-ms", "5000"];
    let server = lab.start_gateway(&options).await?;
    let mut sheet = Sheet::default();
    start_threads(server.address, 4).await?;
    let before = server.usage()?;
    let mut connection = open_shut(server.address).await?;
    let start = Instant::now();
    for number in 0..STREAMS {
        connection.write_all(&headers(1 + 2 * u32::try_from(number)?, BODY)).await?;
    }
    let ended = tokio::spawn(async move {
        // The task keeps the connection open, so that a connection that the server never ends differs from one that it
        // ends.
        timeout(Duration::from_secs(30), ends(&mut connection, STREAMS)).await.is_ok()
    });
    let goes_on = || start.elapsed() < Duration::from_secs(20) && !ended.is_finished();
    let most = server.most_growth(&before, Duration::from_millis(50), goes_on).await?;
    let took = if ended.is_finished() { start.elapsed().as_secs_f64() } else { f64::NAN };
    sleep(Duration::from_secs(1)).await;
    sheet.put("memory grew by", most, Unit::Growth, Limit::AtMost(MOST_HELD_BY_ONE * MEBIBYTE));
    sheet.put("all streams ended after", took, Unit::Seconds, Limit::AtMost(LAST_ENDED));
    let files = server.usage()?.files.saturating_sub(before.files);
    sheet.count("open files more, then", files, Limit::Exactly(0.0));
    ended.abort();
    Ok(sheet)
}

fn bodies_load(_: bool) -> String {
    format!("{CLIENTS} clients request 4 MiB in one piece, and read nothing; the write timeout is 5 s.")
}

async fn bodies(lab: &Lab, _: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start_gateway(&["--threads", "4", "--queue", "256", "--write-stall-ms", "5000"]).await?;
    let mut sheet = Sheet::default();
    start_threads(server.address, 4).await?;
    let before = server.usage()?;
    let start = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Connection::open_narrow(server.address).await?;
        client.send(&get(BODY)).await?;
        clients.push(client);
    }
    let end = start + STALL - Duration::from_millis(500);
    let most = server.most_growth(&before, Duration::from_millis(50), || Instant::now() < end).await?;
    let fast = answers(server.address, "/fast").await;
    sheet.put("memory grew by", most, Unit::Growth, Limit::AtMost(MOST_HELD * MEBIBYTE));
    sheet.count("/fast answers beside it", fast, Limit::Exactly(1.0));
    drop(clients);
    sleep(SETTLED).await;
    let files = server.usage()?.files.saturating_sub(before.files);
    sheet.count("open files more, 6 s after they have left", files, Limit::Exactly(0.0));
    sheet.count("then /ok answers", answers(server.address, "/ok").await, Limit::Exactly(1.0));
    Ok(sheet)
}

/// Starts all threads of the pool, so that the files that belong to them are open.
async fn start_threads(address: SocketAddr, threads: usize) -> anyhow::Result<()> {
    let mut sleepers = JoinSet::new();
    for _ in 0..threads {
        sleepers.spawn(fetch(address, "/sleep?ms=500"));
    }
    while let Some(slept) = sleepers.join_next().await {
        slept??;
    }
    sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// The server's `response_memory` in mebibytes, plus a body on each of four threads, plus the buffers of connections.
const MOST_HELD: f64 = 64.0 + 16.0 + 16.0;

/// The share of one connection, a quarter of `response_memory`, plus the same reserves.
const MOST_HELD_BY_ONE: f64 = 16.0 + 16.0 + 16.0;

/// The last stream has to end within this time: the wait for a thread, the stall timeout, and the interval of five
/// seconds between the server's checks.
const LAST_ENDED: f64 = 2.0 + 5.0 + 5.0;
