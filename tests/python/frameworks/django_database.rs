//! Django: one database and several threads.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use crate::browser::{Browser, json as said};
use crate::environment::{board, serve};

/// PY-12, PY-15: four requests write concurrently, each on a thread with a connection of its own; the next four
/// requests run on the same threads, each of which has connected once.
#[test]
fn threads_keep_their_connections_to_the_database() {
    let server = serve(board());
    let mut browsers: Vec<_> = (0..4).map(|_| Browser::new(&server)).collect();
    let rounds = [0, 1].map(|round| {
        thread::scope(|scope| {
            let asked: Vec<_> = browsers
                .iter_mut()
                .enumerate()
                .map(|(number, browser)| {
                    scope.spawn(move || {
                        let text = format!("meeting {round}, {number}");
                        let reply = browser.post("/meet/", &[("text", &text)]);
                        let reply = said(&reply);
                        assert_eq!((&reply["own"], &reply["connections"]), (&json!(text), &json!(1)));
                        reply["thread"].to_string()
                    })
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect::<BTreeSet<_>>()
        })
    });
    assert_eq!(rounds[0].len(), 4);
    assert_eq!(rounds[0], rounds[1]);
}

/// PY-15: requests on all threads read the rows that other threads have written.
#[test]
fn rows_that_several_clients_write_at_once_are_all_there() {
    let server = serve(board());
    thread::scope(|scope| {
        for client in 0..6 {
            let mut browser = Browser::new(&server);
            scope.spawn(move || {
                for number in 0..10 {
                    let text = format!("row {client}.{number}");
                    let notes = said(&browser.post("/notes/", &[("text", &text)]));
                    assert!(notes["notes"].as_array().unwrap().iter().any(|note| *note == text), "{notes}");
                }
            });
        }
    });
    let notes = said(&Browser::new(&server).get("/notes/"));
    let rows = notes["notes"].as_array().unwrap().iter().filter(|note| note.as_str().unwrap().starts_with("row "));
    assert_eq!(rows.count(), 60);
}

/// PY-15: Django runs a coroutine's queries on the thread of its request.
#[test]
fn a_coroutine_uses_the_database() {
    let server = serve(board());
    for text in ["first", "second"] {
        assert_eq!(Browser::new(&server).get(&format!("/later/?text={text}")).text(), text);
    }
}
