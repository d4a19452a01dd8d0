//! Server-Sent Events.

use std::sync::mpsc;

use axum::Router;
use axum::routing::get;
use gateway::testing::{Client, Outcome};
use gateway::{Chunks, Event, Events, Pool, StartResponse, Streamed, application_fn};
use gateway_tests::{Server, capture_log, recv};

#[test]
fn an_application_sends_events() {
    let app = application_fn(|_, start_response: StartResponse<'_>| {
        let events = Events::start(start_response)?;
        events.send(&Event::new("one\r\ntwo").id("1").name("news"))?;
        events.comment("still here\n")?;
        events.comment("")?;
        Ok(Chunks::empty())
    });
    let response = Client::new(app).get("/");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.text(), "event: news\nid: 1\ndata: one\ndata: two\n\n: still here\n: \n\n: \n\n");
}

/// The head and each event are sent at once, over a handler.
#[test]
fn a_handler_sends_events_as_they_happen() {
    let (say, said) = mpsc::channel::<&str>();
    let said = std::sync::Arc::new(std::sync::Mutex::new(said));
    let listen = move || {
        let said = std::sync::Arc::clone(&said);
        Streamed::events(move |events| {
            while let Ok(text) = said.lock().unwrap().recv() {
                events.send(&Event::new(text))?;
            }
            Ok(())
        })
    };
    let pool = Pool::builder().threads(1).build().unwrap();
    let server = Server::of(Router::new().route("/", get(pool.handler(listen))));
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let (line, headers) = connection.head();
    assert!(line.contains("200"), "{line}");
    assert!(headers.contains(&("content-type".to_owned(), "text/event-stream".to_owned())), "{headers:?}");
    for text in ["first", "second"] {
        say.send(text).unwrap();
        assert_eq!(connection.chunk(), format!("data: {text}\n\n").into_bytes());
    }
    drop(say);
    assert!(connection.rest_of_chunks() == gateway_tests::Ending::Chunked);
}

/// A line end in the data cannot add fields.
#[test]
fn an_id_with_a_line_end_is_an_error_before_anything_of_the_event_is_sent() {
    let app = application_fn(|_, start_response: StartResponse<'_>| {
        let events = Events::start(start_response)?;
        let refused = events.send(&Event::new("x").id("1\ndata: forged"));
        events.send(&Event::new(refused.unwrap_err().to_string()))?;
        Ok(Chunks::empty())
    });
    let text = Client::new(app).get("/").text();
    assert_eq!(text, "data: the id \"1\\ndata: forged\" of an event holds a line end or NUL\n\n");
}

/// DISC-01: the loop ends with a disconnect, which is not a failure.
#[test]
fn a_listener_that_leaves_ends_the_loop() {
    let (ended, end) = mpsc::channel();
    let app = application_fn(move |_, start_response: StartResponse<'_>| {
        let events = Events::start(start_response)?;
        loop {
            if let Err(error) = events.send(&Event::new("x")) {
                ended.send(error.is_disconnected())?;
                return Err(error.into());
            }
        }
    });
    let client = Client::new(app);
    let (response, log) = capture_log(|| client.request("GET", "/").disconnect_after(20).send());
    assert_eq!((response.outcome(), recv(&end), log.len()), (Outcome::Disconnected, true, 0));
}
