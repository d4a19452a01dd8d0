//! Memory that should not grow: with large bodies, and with idle connections.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::sleep;

use crate::client::{Connection, Outcome, get, post_head};
use crate::compare::lab::Lab;
use crate::compare::results::Single;
use crate::compare::server::Server;
use crate::contender::{Contender, GATEWAY, HOP, YARDSTICK};

pub(crate) const LARGE: &str = "large-bodies";
pub(crate) const IDLE: &str = "idle-connections";

pub(crate) const UPLOAD: &str = "peak memory grows by, 1 GiB up";
pub(crate) const DOWNLOAD: &str = "peak memory grows by, 1 GiB down";

/// The size of one piece of `/download` and of the upload to `/upload`.
const PIECE: usize = 64 << 10;

/// The number of pieces that make 1 GiB.
const WHOLE: usize = 1 << 14;

const MEBIBYTE: f64 = (1 << 20) as f64;

/// 1 GiB in each direction through the gateway, compared with the peak after bodies of 1 MiB.
pub(crate) async fn large(lab: &Lab) -> anyhow::Result<Vec<Single>> {
    eprintln!("{LARGE} …");
    let server = lab.start(GATEWAY).await?;
    let mut connection = Connection::open(server.address).await?;
    for _ in 0..50 {
        upload(&mut connection, 16).await?;
        download(&mut connection, 16).await?;
    }
    let small = server.cost()?.peak as f64;
    upload(&mut connection, WHOLE).await?;
    let up = server.cost()?.peak as f64;
    download(&mut connection, WHOLE).await?;
    let down = server.cost()?.peak as f64;
    Ok(vec![single(UPLOAD, (up - small) / MEBIBYTE, "MiB"), single(DOWNLOAD, (down - small) / MEBIBYTE, "MiB")])
}

async fn upload(connection: &mut Connection, pieces: usize) -> anyhow::Result<()> {
    let piece = vec![b'x'; PIECE];
    connection.send(&post_head("/upload", pieces * PIECE)).await?;
    for _ in 0..pieces {
        connection.send(&piece).await.context("the upload is not read")?;
    }
    let counted = (pieces * PIECE).to_string();
    match connection.reply().await {
        Outcome::Answered(reply) if reply.status == 200 && reply.body == counted.as_bytes() => Ok(()),
        other => bail!("the upload of {counted} bytes has {other:?}"),
    }
}

async fn download(connection: &mut Connection, pieces: usize) -> anyhow::Result<()> {
    let length = (pieces * PIECE) as u64;
    match connection.exchange(&get(&format!("/download?pieces={pieces}"))).await {
        Outcome::Answered(reply) if reply.status == 200 && reply.length == length => Ok(()),
        Outcome::Answered(reply) => bail!("the download is {} with {} bytes", reply.status, reply.length),
        other => bail!("the download is {other:?}"),
    }
}

/// The name of the figure for one idle connection to a server.
pub(crate) fn idle_name(contender: Contender) -> String {
    format!("memory of an idle connection, {}", contender.title())
}

const CONNECTIONS: usize = 1000;

/// 1,000 connections with one request each, measured three seconds after the requests.
pub(crate) async fn idle(lab: &Lab) -> anyhow::Result<Vec<Single>> {
    let mut singles = Vec::new();
    for contender in [YARDSTICK, GATEWAY, HOP] {
        eprintln!("{IDLE}: {}", contender.title());
        let server = lab.start(contender).await?;
        for _ in 0..100 {
            server.ask(&get("/hello"), 13).await?;
        }
        let before = server.usage()?.memory as f64;
        let connections = open(&server).await?;
        sleep(Duration::from_secs(3)).await;
        let after = server.usage()?.memory as f64;
        drop(connections);
        singles.push(single(&idle_name(contender), (after - before) / CONNECTIONS as f64 / 1e3, "kB"));
    }
    Ok(singles)
}

async fn open(server: &Server) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(server.address).await?;
        match connection.exchange(&get("/hello")).await {
            Outcome::Answered(reply) if reply.status == 200 && !reply.closes => connections.push(connection),
            other => bail!("a connection that should be kept alive has {other:?}"),
        }
    }
    Ok(connections)
}

fn single(name: &str, value: f64, unit: &str) -> Single {
    Single { name: name.to_owned(), value, unit: unit.to_owned() }
}
