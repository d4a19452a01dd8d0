//! actix-web and its `web::block` with their defaults: one worker per CPU, and 512 blocking threads for all workers.
mod work;

use std::io;
use std::sync::LazyLock;
use std::thread;

use actix_web::web::{block, get, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use clap::Parser as _;
use futures_util::stream;
use tokio::sync::mpsc;

type Answer = actix_web::Result<String>;

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

#[actix_web::main]
async fn main() -> io::Result<()> {
    let address = work::Options::parse().apply();
    let app = || {
        App::new()
            .route("/hello", get().to(async || Ok::<_, actix_web::Error>(block(|| work::HELLO).await?)))
            .route("/body", get().to(body))
            .route("/echo", post().to(async |body: Bytes| Ok::<_, actix_web::Error>(block(|| body).await?)))
            .route("/stream", get().to(streamed))
            .route("/headers", get().to(headers))
            .route("/query", get().to(query))
            .route("/sleep", get().to(sleep))
    };
    HttpServer::new(app).bind(address)?.run().await
}

async fn body(request: HttpRequest) -> actix_web::Result<Bytes> {
    let query = request.uri().query().map(str::to_owned);
    Ok(block(move || work::body(query.as_deref())).await?)
}

async fn streamed() -> HttpResponse {
    let (sender, receiver) = mpsc::channel(4);
    // The closure runs even if its future is dropped.
    drop(block(move || (0..work::PIECES).try_for_each(|_| sender.blocking_send(io::Result::Ok(work::piece())))));
    let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    HttpResponse::Ok().streaming(Box::pin(pieces))
}

async fn headers(request: HttpRequest) -> Answer {
    let (headers, count) = (request.headers().clone(), work::count(request.uri().query()));
    let read = move || NAMES[..count].iter().filter_map(|name| headers.get(name)).map(|value| value.len()).sum();
    Ok(web::block(read).await.map(|sum: usize| sum.to_string())?)
}

async fn query(request: HttpRequest) -> Answer {
    let query = request.uri().query().map(str::to_owned);
    Ok(block(move || work::row(query.as_deref())).await?)
}

async fn sleep() -> actix_web::Result<&'static str> {
    block(|| thread::sleep(work::PAUSE)).await?;
    Ok(work::HELLO)
}
