//! The faults that `gateway::testing` injects: the application's view, without a network.

use std::sync::mpsc;

use gateway::application_fn;
use gateway::testing::{Client, Outcome};
use gateway_tests::{Journal, Script, Step, answer_fn, recv};

const TICKS: &[Step] = &[Step::Chunk("tick"); 100];

/// A client, and the journal of its application's chunks.
fn ticking() -> (Client, Journal) {
    let (journal, noted) = Journal::pair();
    let app = answer_fn(move |_| Ok(Script::new(&noted, TICKS)));
    (Client::new(app), journal)
}

/// MNT-16, DISC-01, END-03: the application stops one chunk after the disconnect, and is closed.
#[test]
fn a_client_that_leaves_stops_the_application() {
    for bytes in [0, 1, 4, 20] {
        let (client, journal) = ticking();
        let response = client.request("GET", "/").disconnect_after(bytes).send();
        assert_eq!((response.outcome(), response.chunks().len()), (Outcome::Disconnected, bytes.div_ceil(4)));
        assert_eq!(journal.count("close"), 1);
        assert!(journal.count("next") <= bytes.div_ceil(4) + 3, "{:?}", journal.lines());
    }
}

/// BP-01, DISC-03: a client that does not read stops the application, too.
#[test]
fn a_client_that_stops_reading_counts_as_gone() {
    let (keep, kept) = mpsc::channel();
    let app = application_fn(move |_, start_response| {
        let write = start_response("200 OK", &[])?;
        let error =
            (0..1000).find_map(|_| write.send(vec![0; 64 * 1024]).err()).ok_or(gateway::Error::new("all went"))?;
        keep.send(error.is_disconnected())?;
        Err(error.into())
    });
    let response = Client::new(app).request("GET", "/").stop_reading().send();
    assert_eq!((response.outcome(), recv(&kept)), (Outcome::Aborted, true));
}

/// BP-08: a slow client receives everything.
#[test]
fn a_slow_client_gets_everything() {
    let (client, journal) = ticking();
    let response = client.request("GET", "/").read_slowly().send();
    assert_eq!((response.text(), journal.count("close")), ("tick".repeat(100), 1));
}

/// IN-17: a body that breaks off is an error at that position, whatever its frames.
#[test]
fn a_body_that_breaks_off_is_an_error_where_it_breaks() {
    let app = answer_fn(|environ| {
        let early = environ.input().read_up_to(4)?;
        assert_eq!(early, b"hell");
        let error = environ.input().read_all().expect_err("there is no more");
        assert_eq!(error.find(), Some(&gateway::InputError::Incomplete));
        Ok(["coped"])
    });
    let client = Client::new(app);
    for frame in [1, 2, 100] {
        let request = client.request("POST", "/").body("hello, world").body_frames(frame).cut_body_after(5);
        assert_eq!(request.send().text(), "coped");
    }
}

/// POOL-07.
#[test]
fn a_full_queue_is_503_and_the_application_is_not_called() {
    let app = application_fn(|_, _| panic!("the application was called"));
    let response = Client::new(app).request("GET", "/").queue_full().send();
    assert_eq!((response.status().as_u16(), response.text().as_str()), (503, "Service Unavailable\n"));
}
