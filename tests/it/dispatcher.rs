//! Several applications behind one gateway, without a router. MNT-15.

use gateway::testing::Client;
use gateway::{Dispatcher, Environ, Input, StartResponse, http_fn, wsgi_app};
use gateway_tests::{answer_fn, panic_message};
use http::{Request, Response};

#[wsgi_app]
fn halves(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[])?;
    Ok([format!("{}|{}", environ.script_name(), environ.path_info())])
}

/// MNT-15, ENV-07: the longest prefix wins, on segment boundaries of the encoded path.
#[test]
fn the_longest_prefix_wins_on_segment_boundaries() {
    let client = Client::new(Dispatcher::new().mount("/a", halves).mount("/a/b/", halves).mount("/caf\u{e9}", halves));
    let rows = [
        ("/a", "/a|"),
        ("/a/", "/a|/"),
        ("/a/x%2Fy", "/a|/x/y"),
        ("/a//b", "/a|//b"),
        ("/a/b", "/a/b|"),
        ("/a/b/c", "/a/b|/c"),
        // This path has one segment, not two.
        ("/a/b%2Fc", "/a|/b/c"),
        ("/%61/b", "/a/b|"),
        ("/caf%C3%A9/x", "/caf\u{c3}\u{a9}|/x"),
    ];
    for (target, expected) in rows {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    for target in ["/", "/ab", "/b", "//a", "/a%2Fb"] {
        assert_eq!(client.get(target).status(), 404, "{target}");
    }
}

/// MNT-15: an application at the root gets the paths that match no other prefix; dispatchers can be nested; a path that
/// middleware has set is split, too.
#[test]
fn dispatchers_nest_and_the_root_takes_the_rest() {
    let inner = Dispatcher::new().mount("/y", halves).mount("/", halves);
    let outer = Dispatcher::new().mount("/x", inner).mount("/", halves);
    let client = Client::new(outer);
    for (target, expected) in [("/", "|/"), ("/z", "|/z"), ("/x/y/z", "/x/y|/z"), ("/x/z", "/x|/z"), ("/x", "/x|")] {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    let rewriting = answer_fn(|environ| {
        environ.insert("PATH_INFO", "/blog/post");
        assert!(!environ.shift_path_info("/blo"));
        assert!(environ.shift_path_info("/blog/") && environ.shift_path_info("/"));
        Ok([format!("{}|{}", environ.script_name(), environ.path_info())])
    });
    assert_eq!(Client::new(rewriting).get("/elsewhere").text(), "/blog|/post");
}

/// MNT-15: an application with `http` types sees the URI without the prefix, as below a router.
#[test]
fn the_uri_of_an_http_fn_is_what_the_prefix_leaves() {
    let uri = || http_fn(|request: Request<Input>| Ok::<_, gateway::Error>(Response::new([request.uri().to_string()])));
    let client = Client::new(Dispatcher::new().mount("/a", uri()).mount("/", uri()));
    let rows = [
        ("/a/x%2Fy?q=/a", "/x%2Fy?q=/a"),
        ("/a", "/"),
        ("/a/", "/"),
        ("/a//b", "//b"),
        ("/a?q", "/?q"),
        ("/b?q", "/b?q"),
        ("http://host/a/b?q", "http://host/b?q"),
    ];
    for (target, expected) in rows {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
}

#[test]
fn a_prefix_is_a_path_and_taken_once() {
    for prefix in ["a", "", "/a"] {
        let message = panic_message(|| Dispatcher::new().mount("/a/", halves).mount(prefix, halves));
        assert!(message.contains(&format!("{prefix:?}")), "{message}");
    }
}
