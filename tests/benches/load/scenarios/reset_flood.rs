//! HTTP/2 streams that the client resets immediately after the request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{interval, sleep};

use super::Scenario;
use crate::client::{answers, count, fetch};
use crate::frames::{cancel, headers, open};
use crate::lab::{Contender, Lab};
use crate::probe::Probe;
use crate::report::{Limit, Sheet, Unit};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("reset-flood", load, |lab, contender| Box::pin(run(lab, contender)));

const STREAMS: usize = 10_000;
const BURST: usize = 50;

fn load(_: bool) -> String {
    format!(
        "{STREAMS} HTTP/2 streams request work that takes a thread for 0.1 s, and are reset. Bursts of {BURST} alternate: \
         each stream is reset at once, or all streams after 2 ms. The client opens a new connection whenever the server \
         closes one."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    fetch(server.address, "/ok").await?;
    let fast = Probe::start(server.address, "/fast", 50);
    let start = Instant::now();
    let connections = flood(server.address).await?;
    let flooded = start.elapsed().as_secs_f64();
    let invoked = count(server.address, "sleep").await?;
    let most_invoked = 4.0 * start.elapsed().as_secs_f64() / 0.1 + 20.0;
    let fast = fast.stop().await?;
    sleep(Duration::from_secs(1)).await;
    let later = count(server.address, "sleep").await? - invoked;
    sheet.put("the flood took", flooded, Unit::Seconds, Limit::None);
    sheet.count("connections closed on it", connections - 1, Limit::None);
    sheet.count("most at work", count(server.address, "running_max").await?, Limit::AtMost(4.0));
    sheet.count("applications run", invoked, Limit::AtMost(most_invoked));
    sheet.count("more of them in the second after", later, Limit::AtMost(20.0));
    sheet.count("/fast: failures", fast.failures, Limit::Exactly(0.0));
    sheet.put("/fast: p99", fast.times.percentile(99), Unit::Milliseconds, Limit::AtMost(500.0));
    sheet.count("then /ok answers", answers(server.address, "/ok").await, Limit::Exactly(1.0));
    Ok(sheet)
}

/// Sends all requests and resets, and returns the number of connections that were necessary.
async fn flood(address: SocketAddr) -> anyhow::Result<usize> {
    let mut ticks = interval(Duration::from_millis(20));
    let (mut sent, mut connections) = (0, 0);
    while sent < STREAMS {
        connections += 1;
        let (mut reader, mut writer) = open(address).await?.into_inner().into_split();
        // Read the server's frames, so that the server is never blocked by flow control; their content does not matter.
        let alive = tokio::spawn(async move {
            let mut bytes = vec![0; 16 * 1024];
            while !matches!(reader.read(&mut bytes).await, Ok(0) | Err(_)) {}
        });
        let mut stream = 1;
        while sent < STREAMS && !alive.is_finished() {
            ticks.tick().await;
            let burst: Vec<u32> = (stream..).step_by(2).take(BURST).collect();
            stream += 2 * u32::try_from(BURST)?;
            let asked = |&stream: &u32| headers(stream, "/sleep?ms=100");
            let reset = |&stream: &u32| cancel(stream);
            let written = if (sent / BURST).is_multiple_of(2) {
                let pairs: Vec<u8> = burst.iter().flat_map(|stream| [asked(stream), reset(stream)].concat()).collect();
                writer.write_all(&pairs).await
            } else {
                let first = writer.write_all(&burst.iter().flat_map(asked).collect::<Vec<u8>>()).await;
                sleep(Duration::from_millis(2)).await;
                first.and(writer.write_all(&burst.iter().flat_map(reset).collect::<Vec<u8>>()).await)
            };
            if written.is_err() {
                break;
            }
            sent += BURST;
        }
        alive.abort();
    }
    Ok(connections)
}
