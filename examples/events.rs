//! Server-Sent Events from a loop that blocks: each listener occupies a thread while it is connected.
//!
//! ```sh
//! cargo run --release --example events
//! curl -N http://127.0.0.1:8000/events &
//! curl -d 'hello' http://127.0.0.1:8000/say          # "id: 1" and "data: hello" appear above
//! curl http://127.0.0.1:8000/listeners               # 1
//! kill %1; sleep 1; curl http://127.0.0.1:8000/listeners       # 0: the loop has ended
//! curl -N http://127.0.0.1:8000/events -H 'Last-Event-ID: 0'   # what was missed comes first; browsers send this on their own
//! ```
//!
//! In a browser, `new EventSource("/events").onmessage = event => console.log(event.data)`. The mount has its own pool,
//! without a queue: the 101st listener gets 503 at once, and `/say` is not affected. On Ctrl-C all loops end, so that
//! the server need not wait for its grace.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::routing::{get, post};
use gateway::{Chunks, Environ, Event, Events, Pool, StartResponse, Wait, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().name("listeners").threads(100).queue(0).build()?;
    let app = app(Feed::default(), &pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
}

fn app(feed: Feed, pool: &Pool) -> Router {
    let figures = pool.clone();
    Router::new()
        .route("/events", get(pool.mount(listen)))
        .route("/say", post(say))
        .route("/listeners", get(|| async move { format!("{}\n", figures.stats().busy) }))
        .layer(Extension(feed))
}

async fn say(Extension(feed): Extension<Feed>, text: String) -> StatusCode {
    feed.say(text);
    StatusCode::NO_CONTENT
}

/// The newest events, numbered from 1.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<VecDeque<(u64, String)>>>);

impl Feed {
    /// How many events are kept for listeners that reconnect.
    const KEPT: usize = 1000;

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: String) {
        let mut events = self.lock();
        let id = events.back().map_or(1, |(last, _)| last + 1);
        events.push_back((id, text));
        if events.len() > Self::KEPT {
            events.pop_front();
        }
    }

    fn after(&self, seen: u64) -> Vec<(u64, String)> {
        self.lock().iter().filter(|(id, _)| *id > seen).cloned().collect()
    }
}

/// Sends a listener the events.
#[wsgi_app]
fn listen(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'static>> {
    let Extension(feed) = environ.extract::<Extension<Feed>>()?;
    // A number from before a restart may be too high.
    let last = feed.lock().back().map_or(0, |(id, _)| *id);
    let missed = environ.get("HTTP_LAST_EVENT_ID").and_then(|id| id.parse().ok());
    let mut seen = missed.map_or(last, |id: u64| id.min(last));
    let events = Events::start(start_response)?;
    let mut sent = Instant::now();
    // The pause ends at once when the client disconnects or the server stops.
    while environ.wait(Duration::from_millis(100)) == Wait::Elapsed {
        for (id, text) in feed.after(seen) {
            events.send(&Event::new(text).id(id.to_string()))?;
            (seen, sent) = (id, Instant::now());
        }
        // Keeps proxies from closing a quiet connection, and reveals a silent disconnect.
        if sent.elapsed() > Duration::from_secs(15) {
            events.comment("")?;
            sent = Instant::now();
        }
    }
    Ok(Chunks::empty())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use gateway::testing::{Client, Outcome};
    use tower::ServiceExt as _;

    use super::*;

    fn feed(texts: &[&str]) -> Feed {
        let feed = Feed::default();
        texts.iter().for_each(|text| feed.say((*text).to_owned()));
        feed
    }

    #[test]
    fn what_was_missed_comes_first() {
        let missed = "id: 2\ndata: two\n\nid: 3\ndata: three\ndata: id: 9\n\n";
        let request = Client::new(listen).request("GET", "/events").extension(feed(&["one", "two", "three\nid: 9"]));
        let response = request.header("last-event-id", "1").disconnect_after(missed.len()).send();
        assert_eq!(response.chunks().concat(), missed.as_bytes());
    }

    #[test]
    fn only_the_newest_are_kept() {
        let kept = feed(&["x"; 1500]).after(0);
        assert_eq!((kept.len(), kept[0].0, kept[999].0), (1000, 501, 1500));
    }

    /// `send` returns when the loop has ended.
    #[test]
    fn the_loop_ends_when_the_client_leaves() {
        let request = Client::new(listen).request("GET", "/events").extension(feed(&["one"]));
        let response = request.header("last-event-id", "0").disconnect_after(1).send();
        assert_eq!(response.outcome(), Outcome::Disconnected);
    }

    #[tokio::test]
    async fn listeners_are_counted_and_limited() {
        let pool = Pool::builder().threads(1).queue(0).build().unwrap();
        let app = app(feed(&[]), &pool);
        let get = |path: &str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
        let first = get("/events").await.unwrap();
        assert_eq!(first.status(), 200);
        assert_eq!(get("/events").await.unwrap().status(), 503);
        assert_eq!(to_bytes(get("/listeners").await.unwrap().into_body(), 10).await.unwrap(), "1\n");
        let said = app.clone().oneshot(Request::post("/say").body(Body::from("hello")).unwrap()).await.unwrap();
        assert_eq!(said.status(), 204);
        drop(first);
    }

    /// Within the default grace, of which nothing is needed.
    #[tokio::test]
    async fn the_loop_ends_when_the_server_stops() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let pool = Pool::builder().threads(1).queue(0).build().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = gateway::serve(listener, app(feed(&[]), &pool)).pool(&pool);
        let server = tokio::spawn(server.with_graceful_shutdown(async { drop(stopped.await) }).run());
        client.write_all(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'H');
        stop.send(()).unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"\r\n0\r\n\r\n"), "the stream was cut off");
        assert!(server.await.unwrap().unwrap().is_clean());
    }
}
