//! Clients that disconnect.

use std::time::Duration;

use gateway_tests::{BOUND, until, wait_for};

use crate::target::{everywhere, everywhere_with};

/// DISC-01, DISC-02, DISC-03, DISC-08, END-03: a disconnect ends the application, and its chunks are closed.
#[test]
fn a_client_that_leaves_ends_the_application() {
    everywhere(|target| {
        for path in ["/big", "/stream?n=1000000000&chunk=65536", "/stream?n=100000&chunk=1"] {
            let before = target.count("closed");
            let mut connection = target.begin("GET", path, "\r\n");
            connection.head();
            drop(connection);
            target.await_count("closed", before + 1);
        }
        assert_eq!(target.count("opened"), target.count("closed"));
    });
}

/// DISC-04, IN-17: a disconnect within the request body wakes the reader with an error.
#[test]
fn a_client_that_leaves_in_its_body_wakes_the_reader() {
    everywhere_with(&["--read-ahead", "0"], |target| {
        let before = [target.count("sum_error"), target.count("sum_success")];
        let connection = target.begin("POST", "/sum", "Content-Length: 100\r\n\r\nhello");
        drop(connection);
        target.await_count("sum_error", before[0] + 1);
        assert_eq!(target.count("sum_success"), before[1]);
    });
}

/// DISC-06, EXT-02: an application that neither reads nor writes can wait for the disconnect.
#[test]
fn an_application_can_wait_for_its_client_to_leave() {
    everywhere(|target| {
        let before = target.count("saw_disconnect");
        // An application is not called if its client disconnects before the call; of twenty clients, some disconnect
        // later.
        for _ in 0..20 {
            let connection = target.begin("GET", "/disconnected", "\r\n");
            target.get("/ok");
            drop(connection);
        }
        target.await_count("saw_disconnect", before + 1);
        assert_eq!(target.count("no_disconnect"), 0);
    });
}

/// DISC-10: with hyper, a client that shuts down its write side counts as disconnected.
#[test]
fn a_client_that_shuts_its_side_down_counts_as_gone() {
    everywhere(|target| {
        let before = target.count("closed");
        let mut connection = target.begin("GET", "/stream?n=1000000000&chunk=65536", "\r\n");
        connection.head();
        connection.finish_sending();
        target.await_count("closed", before + 1);
    });
}

/// DISC-05, POOL-09, END-10: a disconnect removes the request from the queue, and the request never runs.
#[test]
fn a_client_that_leaves_the_queue_is_never_served() {
    everywhere_with(&["--threads", "1", "--queue", "1", "--read-ahead", "0"], |target| {
        let before = target.count("ok");
        let mut busy = target.occupy();
        let mut leaving = target.connect();
        leaving.send(&(target.head("GET", "/ok") + "\r\n"));
        drop(leaving);
        // The queue is full until the server has detected the disconnect.
        let mut queued = wait_for("there is a place in the queue", || {
            let mut connection = target.begin("GET", "/write", "\r\n");
            connection.give_up_after(Duration::from_millis(500));
            match connection.reply_or_reset() {
                Some(refusal) => {
                    assert_eq!(refusal.status(), 503);
                    None
                }
                None => Some(connection),
            }
        });
        queued.give_up_after(BOUND);
        busy.send("0\r\n\r\n");
        assert_eq!(busy.reply().text(), "");
        assert_eq!(queued.reply().text(), "ABC");
        assert_eq!(target.count("ok"), before);
    });
}

/// BP-06: the server closes the connection of a client that does not read, and the response never looks complete.
#[test]
fn a_client_that_reads_nothing_is_disconnected() {
    everywhere_with(&["--threads", "1", "--write-stall-ms", "100"], |target| {
        let before = target.count("closed");
        let _connection = target.begin("GET", "/stream?n=1000000000&chunk=65536", "\r\n");
        target.await_count("closed", before + 1);
        assert_eq!(target.get("/ok").text(), "ok");
    });
}

/// DISC-12: clients that connect and disconnect leak no file descriptor and no thread.
#[cfg(target_os = "linux")]
#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    fn entries(of: &str) -> usize {
        std::fs::read_dir(format!("/proc/self/{of}")).unwrap().count()
    }
    everywhere_with(&["--threads", "4", "--queue", "1000"], |target| {
        let round = |count: usize| {
            for number in 0..count {
                let path = ["/ok", "/big", "/disconnected", "/stream?n=1000000&chunk=1000"][number % 4];
                let connection = target.begin("GET", path, "\r\n");
                drop(connection);
            }
            // When a thread is free for this request, all admitted requests have ended.
            assert_eq!(target.get("/write").text(), "ABC");
        };
        round(20);
        let (files, tasks) = (entries("fd"), entries("task"));
        round(250);
        until("files and threads are gone", || entries("fd") <= files + 8 && entries("task") <= tasks + 4);
    });
}
