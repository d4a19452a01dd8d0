//! `WebSocket`s beside the soak: each message has to come back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

const CLIENTS: u64 = 8;
const PERIOD: Duration = Duration::from_millis(100);

/// The messages of a connection, before the next one.
const MESSAGES: u64 = 50;

/// The bound of one exchange.
const LONGEST: Duration = Duration::from_secs(60);

/// Returns the number of messages that were sent, each of which came back.
pub(super) async fn ask(address: SocketAddr, length: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + length;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            let mut sent = 0;
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while Instant::now() < end {
                let stream = TcpStream::connect(address).await?;
                let (mut socket, _) = client_async(format!("ws://{address}/socket"), stream).await?;
                for _ in 0..MESSAGES {
                    if ticks.tick().await >= end {
                        break;
                    }
                    let message = Message::text(format!("{client}: {sent}"));
                    let exchange = async {
                        socket.send(message.clone()).await?;
                        sent += 1;
                        socket.next().await.context("the socket ends")?.context("the socket fails")
                    };
                    let returned = timeout(LONGEST, exchange).await.context("timeout of a message")??;
                    ensure!(returned == message, "another message came back: {returned}");
                }
                socket.close(None).await?;
            }
            anyhow::Ok(sent)
        });
    }
    let mut all = 0;
    while let Some(sent) = clients.join_next().await {
        all += sent??;
    }
    Ok(all)
}
