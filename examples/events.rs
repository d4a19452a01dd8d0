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
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use gateway::{Application, Chunks, Environ, Gateway, Pool, StartResponse, Wait};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().name("listeners").threads(100).queue(0).build()?;
    let feed = Arc::new(Feed::default());
    let app = app(&feed, &pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await
}

fn app(feed: &Arc<Feed>, pool: &Pool) -> Router {
    let figures = pool.clone();
    Router::new()
        .route_service("/events", Gateway::new(Listen { feed: Arc::clone(feed) }).pool(pool))
        .route("/say", post(say))
        .route("/listeners", get(|| async move { format!("{}\n", figures.stats().busy) }))
        .with_state(Arc::clone(feed))
}

async fn say(State(feed): State<Arc<Feed>>, text: String) -> StatusCode {
    feed.say(text);
    StatusCode::NO_CONTENT
}

type Events = VecDeque<(u64, String)>;

/// The newest events, numbered from 1, and a condition variable for listeners.
#[derive(Default)]
struct Feed {
    events: Mutex<Events>,
    news: Condvar,
}

/// The number of the last event.
fn last(events: &Events) -> u64 {
    events.back().map_or(0, |(id, _)| *id)
}

impl Feed {
    /// How many events are kept for listeners that reconnect.
    const KEPT: usize = 1000;

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: String) {
        let mut events = self.lock();
        let id = last(&events) + 1;
        events.push_back((id, text));
        if events.len() > Self::KEPT {
            events.pop_front();
        }
        self.news.notify_all();
    }

    /// The events after this one, as soon as there are any; an empty list at the timeout.
    fn after(&self, seen: u64, timeout: Duration) -> Events {
        let waited = self.news.wait_timeout_while(self.lock(), timeout, |events| last(events) <= seen);
        let (events, _) = waited.unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|(id, _)| *id > seen).cloned().collect()
    }
}

/// Sends each listener the events.
struct Listen {
    feed: Arc<Feed>,
}

impl Application for Listen {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        // A number from before a restart may be too high.
        let last = last(&self.feed.lock());
        let mut seen =
            environ.get("HTTP_LAST_EVENT_ID").and_then(|id| id.parse().ok()).map_or(last, |id: u64| id.min(last));
        let headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")];
        let write = start_response("200 OK", &headers)?;
        // The first call of `send` sends the head, so that the client knows that it is connected.
        write.send("")?;
        let mut sent = Instant::now();
        // Neither the end of the client nor that of the server notifies the condition variable: hence its timeout.
        while environ.wait(Duration::ZERO) == Wait::Elapsed {
            for (id, text) in self.feed.after(seen, Duration::from_millis(250)) {
                // A line break would end the field, and the text could add its own fields.
                let data: String = text.split(['\r', '\n']).map(|line| format!("data: {line}\n")).collect();
                write.send(format!("id: {id}\n{data}\n"))?;
                (seen, sent) = (id, Instant::now());
            }
            // A comment keeps proxies from closing a quiet connection, and reveals a silent disconnect.
            if sent.elapsed() > Duration::from_secs(15) {
                write.send(":\n\n")?;
                sent = Instant::now();
            }
        }
        Ok(Chunks::empty())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use gateway::testing::{Client, Outcome};
    use tower::ServiceExt as _;

    use super::*;

    fn feed(texts: &[&str]) -> Arc<Feed> {
        let feed = Arc::new(Feed::default());
        texts.iter().for_each(|text| feed.say((*text).to_owned()));
        feed
    }

    #[test]
    fn what_was_missed_comes_first() {
        let client = Client::new(Listen { feed: feed(&["one", "two", "three\nid: 9"]) });
        let missed = "id: 2\ndata: two\n\nid: 3\ndata: three\ndata: id: 9\n\n";
        let request = client.request("GET", "/events").header("last-event-id", "1");
        assert_eq!(request.disconnect_after(missed.len()).send().chunks().concat(), missed.as_bytes());
    }

    #[test]
    fn only_the_newest_are_kept() {
        let feed = feed(&["x"; 1500]);
        let kept = feed.after(0, Duration::ZERO);
        assert_eq!((kept.len(), kept[0].0, kept[999].0), (1000, 501, 1500));
    }

    /// `send` returns when the loop has ended.
    #[test]
    fn the_loop_ends_when_the_client_leaves() {
        let client = Client::new(Listen { feed: feed(&["one"]) });
        let response = client.request("GET", "/events").header("last-event-id", "0").disconnect_after(1).send();
        assert_eq!(response.outcome(), Outcome::Disconnected);
    }

    #[tokio::test]
    async fn listeners_are_counted_and_limited() {
        let (feed, pool) = (feed(&[]), Pool::builder().threads(1).queue(0).build().unwrap());
        let app = app(&feed, &pool);
        let get = |path: &str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
        let first = get("/events").await.unwrap();
        assert_eq!(first.status(), 200);
        assert_eq!(get("/events").await.unwrap().status(), 503);
        assert_eq!(to_bytes(get("/listeners").await.unwrap().into_body(), 10).await.unwrap(), "1\n");
        let said = app.clone().oneshot(Request::post("/say").body(Body::from("hello")).unwrap()).await.unwrap();
        assert_eq!(said.status(), 204);
        drop(first);
    }
}
