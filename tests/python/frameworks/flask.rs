//! Flask: routes, sessions, redirects and files.

use serde_json::json;

use crate::browser::{Browser, json as said};
use crate::environment::{serve, shop};

/// PY-15.
#[test]
fn requests_reach_their_views() {
    let server = serve(shop());
    let mut browser = Browser::new(&server);
    let index = browser.get("/?title=A%20%26%20B");
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(index.text(), "<h1>A &amp; B</h1><p>1 lamp</p><p>2 chair &amp; table</p>");
    assert_eq!(browser.get("/items/1/").text(), "chair & table");
    let name = said(&browser.get("/names/gr%C3%BC%C3%9Fe%20%E2%82%AC?q=%C3%A4&q=b"));
    assert_eq!(name, json!({"name": "grüße €", "query": ["ä", "b"], "host": "test.local", "remote": "127.0.0.1"}));
    assert_eq!(browser.get("/slow").text(), "from a coroutine");
    let echo = browser.send("POST", "/json", &[("Content-Type", "application/json")], br#"{"a": [1, null]}"#);
    assert_eq!(said(&echo), json!({"a": [1, null]}));
}

/// PY-15: a reply to HEAD has the header fields of GET's reply, and the connection stays open.
#[test]
fn head_is_get_without_the_body() {
    let server = serve(shop());
    let mut browser = Browser::new(&server);
    for target in ["/", "/source", "/nowhere"] {
        let (get, head) = (browser.get(target), browser.head(target));
        assert_eq!(head.status(), get.status());
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{target}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    assert_eq!(browser.head("/form").status(), 405);
    assert_eq!(browser.get("/").status(), 200);
}

/// PY-15, FW-01: a file is sent whole, in part, or not at all if the client has the current version.
#[test]
fn a_file_is_sent_as_the_client_asks_for_it() {
    let server = serve(shop());
    let mut browser = Browser::new(&server);
    let text = include_bytes!("../apps/shop.py");
    let whole = browser.get("/source");
    assert_eq!((whole.status(), whole.body.as_slice()), (200, text.as_slice()));
    assert_eq!(whole.header("content-length"), Some(text.len().to_string().as_str()));
    let etag = whole.header("etag").expect("a name for this version");
    let same = browser.send("GET", "/source", &[("If-None-Match", etag)], b"");
    assert_eq!((same.status(), same.body.len()), (304, 0));
    let modified = whole.header("last-modified").expect("a date");
    assert_eq!(browser.send("GET", "/source", &[("If-Modified-Since", modified)], b"").status(), 304);
    let part = browser.send("GET", "/source", &[("Range", "bytes=3-11")], b"");
    assert_eq!((part.status(), part.body.as_slice()), (206, &text[3..12]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 3-11/{}", text.len()).as_str()));
    let rest = browser.send("GET", "/source", &[("Range", "bytes=-5"), ("If-Range", etag)], b"");
    assert_eq!((rest.status(), rest.body.as_slice()), (206, &text[text.len() - 5..]));
    let head = browser.send("HEAD", "/source", &[("Range", "bytes=0-0")], b"");
    assert_eq!(head.header("content-length"), Some("1"));
    assert_eq!(browser.send("GET", "/source", &[("Range", "bytes=999999-")], b"").status(), 416);
}

/// PY-15: a session is sent to the client and back; a session that was tampered with is ignored.
#[test]
fn a_session_lasts_as_long_as_its_cookie() {
    let server = serve(shop());
    let mut browser = Browser::new(&server);
    assert_eq!(browser.get("/me").text(), "nobody no");
    assert_eq!(browser.post("/login", &[("user", "Zoë")]).status(), 302);
    assert_eq!(browser.get("/me").text(), "Zoë yes");
    let session = browser.cookie("session").expect("a session").to_owned();
    browser.set_cookie("session", &session.to_ascii_uppercase());
    assert_eq!(browser.get("/me").text(), "nobody yes");
    browser.set_cookie("session", &session);
    assert_eq!(browser.get("/logout").status(), 302);
    assert_eq!(browser.cookie("session"), None);
    assert_eq!(browser.get("/me").text(), "nobody yes");
}

/// PY-15, MNT-04: every link that Flask generates contains the prefix of the mount.
#[test]
fn redirects_and_links_have_the_prefix_of_the_mount() {
    let server = serve(shop());
    for prefix in ["", "/app"] {
        let mut browser = Browser::new(&server);
        let login = browser.post(&format!("{prefix}/login"), &[("user", "me")]);
        assert_eq!(login.header("location"), Some(format!("{prefix}/me").as_str()));
        let path = |name: &str| {
            let cookies = login.headers.iter().filter(|(header, _)| header == "set-cookie");
            let cookie = cookies.map(|(_, cookie)| cookie).find(|cookie| cookie.starts_with(name)).expect("a cookie");
            cookie.split_once("Path=").expect("a path").1.to_owned()
        };
        assert_eq!(path("seen="), format!("{prefix}/"));
        assert_eq!(browser.get(&format!("{prefix}/me")).text(), "me yes");
        let absolute = format!("http://test.local{prefix}/me");
        assert_eq!(browser.get(&format!("{prefix}/logout")).header("location"), Some(absolute.as_str()));
        let slash = browser.get(&format!("{prefix}/items/0?a=b"));
        assert_eq!(slash.status(), 308);
        assert_eq!(slash.header("location"), Some(format!("http://test.local{prefix}/items/0/?a=b").as_str()));
    }
}
