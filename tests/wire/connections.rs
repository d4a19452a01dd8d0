//! Several requests on one connection, and several connections.

use crate::target::everywhere;

/// HTTP-10: pipelined requests of any kind are answered in order.
#[test]
fn pipelined_requests_are_answered_in_order() {
    everywhere(|target| {
        let rows = [
            ("GET", "/ok", "", 200, "ok"),
            ("POST", "/echo", "echoed", 200, "echoed"),
            ("GET", "/raise", "", 500, "Internal Server Error\n"),
            ("GET", "/stream?n=3&chunk=1", "", 200, "xxx"),
            ("POST", "/noread", "unread", 200, "ok"),
            ("GET", "/s204", "", 204, ""),
            ("GET", "/nowhere", "", 404, "not found"),
            ("GET", "/cl-over-stream", "", 200, "hello"),
            ("GET", "/write", "", 200, "ABC"),
        ];
        let mut connection = target.connect();
        for (method, path, body, ..) in rows {
            connection.send(&format!("{}Content-Length: {}\r\n\r\n{body}", target.head(method, path), body.len()));
        }
        for (_, path, _, status, body) in rows {
            let reply = connection.reply();
            assert_eq!((reply.status(), reply.text().as_str()), (status, body), "{path}");
        }
    });
}

/// HTTP-10: if a client asks for the close of the connection, the server closes it after the response.
#[test]
fn a_connection_closes_when_its_client_says_so() {
    everywhere(|target| {
        let mut connection = target.connect();
        let reply = connection.request(&format!("{}Connection: close\r\n\r\n", target.head("GET", "/ok")));
        assert_eq!(reply.text(), "ok");
        assert!(connection.is_closed());
    });
}

/// BP-08, POOL-06: an application may call its own server, and a client that does not read delays no other client.
#[test]
fn one_slow_exchange_holds_up_no_other() {
    everywhere(|target| {
        let mut slow = target.connect();
        slow.send(&(target.head("GET", "/big") + "\r\n"));
        slow.head();
        assert_eq!(target.get(&format!("/selfcall?port={}", target.port())).text(), "ok");
        assert_eq!(slow.exactly(10_485_760).len(), 10_485_760);
    });
}

/// DISC-14, WR-13: concurrent exchanges get only their own bytes.
#[test]
fn responses_never_mix() {
    everywhere(|target| {
        let mut connections: Vec<_> = (0..20).map(|_| target.connect()).collect();
        for (number, connection) in connections.iter_mut().enumerate() {
            let body = number.to_string().repeat(100);
            connection.send(&format!("{}Content-Length: {}\r\n\r\n{body}", target.head("POST", "/echo"), body.len()));
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            assert_eq!(connection.reply().text(), number.to_string().repeat(100));
        }
    });
}
