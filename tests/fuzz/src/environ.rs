//! Any bytes on a connection, and the environ that an application gets for them (ENV, MNT).
//!
//! The first byte chooses the mount and how the network cuts the bytes.
//!
//! Threads: the caller's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Router;
use gateway::testing::Inline;
use gateway::{Chunks, Environ, Gateway, application_fn};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::head::{self, Head, latin1, percent_decode};
use crate::server::{App, Pieces, exchange};

/// The variables of one request.
type Variables = BTreeMap<String, String>;

/// The place of a request on its connection, from 0.
#[derive(Debug, Clone, Copy)]
struct Place(usize);

thread_local! {
    /// How many requests have reached the router.
    static REQUESTS: RefCell<usize> = const { RefCell::new(0) };
    /// The requests that have reached the application.
    static SEEN: RefCell<Vec<(usize, Variables)>> = const { RefCell::new(Vec::new()) };
}

/// The prefix that a proxy takes away, with the mount of that name.
const PREFIX: &str = "/app";

static APPS: LazyLock<Vec<App>> = LazyLock::new(|| {
    let plain = || gateway();
    vec![
        app(Router::new().fallback_service(plain())),
        app(Router::new().nest_service("/a", plain()).fallback_service(plain())),
        app(Router::new().nest_service("/{x}/b", plain()).fallback_service(plain())),
        app(Router::new().nest("/a", Router::new().nest_service("/{x}", plain())).fallback_service(plain())),
        app(Router::new().fallback_service(plain().script_name(PREFIX))),
    ]
});

const PREFIXED: usize = 4;

fn gateway() -> Gateway {
    let app = application_fn(|environ: &mut Environ, start_response| {
        let Place(place) = environ.extensions().get().copied().unwrap_or(Place(usize::MAX));
        // Looked up and listed, which must agree.
        let listed: Variables = environ.iter().map(|(key, value)| (key.into_owned(), value.to_owned())).collect();
        let looked_up = listed.keys().map(|key| (key.clone(), environ.get(key).unwrap_or("?").to_owned())).collect();
        assert_eq!(listed, looked_up);
        SEEN.with_borrow_mut(|seen| seen.push((place, listed)));
        let _ = environ.input().read_all()?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    });
    Gateway::new(app).executor(Inline::new())
}

/// Counts the requests, so that the first environ is compared with the first head only if it belongs to it.
fn app(router: Router) -> App {
    BoxCloneSyncService::new(router.map_request(|mut request: http::Request<_>| {
        let place = REQUESTS.with_borrow_mut(|requests| std::mem::replace(requests, *requests + 1));
        request.extensions_mut().insert(Place(place));
        request
    }))
}

pub(crate) fn check(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let choice = usize::from(*choice);
    let mount = choice % APPS.len();
    let pieces = [vec![usize::MAX], vec![1], vec![3], vec![7, 1, 30]][choice / APPS.len() % 4].clone();
    REQUESTS.set(0);
    SEEN.take();
    exchange(&APPS[mount], bytes, Pieces::of(pieces));
    for (place, variables) in SEEN.take() {
        is_sound(&variables);
        if place == 0 {
            let head = head::parse(bytes).unwrap_or_else(|| panic!("a request without a head: {variables:?}"));
            is_of(&head, mount, &variables);
        }
    }
}

/// Rules for every environ.
fn is_sound(variables: &Variables) {
    for (key, value) in variables {
        assert!(!key.is_empty() && key.chars().all(|letter| letter.is_ascii_graphic()), "{key:?}");
        assert!(value.chars().all(|letter| u32::from(letter) <= 0xff), "{key}: {value:?}");
        // The path may have any byte.
        let is_path = matches!(key.as_str(), "PATH_INFO" | "SCRIPT_NAME");
        assert!(is_path || !value.contains(['\r', '\n', '\0']), "{key}: {value:?}");
    }
    let get = |key: &str| variables.get(key).map(String::as_str);
    // ENV-13, ENV-42, SEC-01, SEC-02.
    for key in ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_PROXY"] {
        assert_eq!(get(key), None, "{key}");
    }
    // ENV-04, ENV-05.
    let (script, info) = (get("SCRIPT_NAME").expect("always"), get("PATH_INFO").expect("always"));
    assert!(script.is_empty() || script.starts_with('/') && !script.ends_with('/'), "{script:?}");
    assert!(info.is_empty() || info.starts_with('/'), "{info:?}");
    assert!(!info.is_empty() || !script.is_empty() || get("REQUEST_URI") == Some("*"), "{variables:?}");
    // ENV-20 to ENV-22, ENV-28.
    assert!(get("SERVER_NAME").is_some_and(|name| !name.is_empty()));
    assert!(get("SERVER_PORT").is_some_and(|port| port.parse::<u16>().is_ok()), "{:?}", get("SERVER_PORT"));
    assert!(matches!(get("SERVER_PROTOCOL"), Some("HTTP/1.0" | "HTTP/1.1")));
    assert_eq!(get("wsgi.url_scheme"), Some("http"));
    // SEC-04: nothing but what a host and a port may have (RFC 3986 §3.2.2).
    let host = get("HTTP_HOST").unwrap_or_default();
    let is_of_host = |letter: char| letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%:[]".contains(letter);
    assert!(host.chars().all(is_of_host), "{host:?}");
    // ENV-12.
    let length = get("CONTENT_LENGTH").map(|length| length.bytes().all(|digit| digit.is_ascii_digit()));
    assert_ne!(length, Some(false), "{:?}", get("CONTENT_LENGTH"));
    // ENV-23, ENV-24.
    assert_eq!((get("REMOTE_ADDR"), get("REMOTE_PORT")), (Some("192.0.2.1"), Some("4711")));
}

/// The parts of a target: its authority, its path and its query.
fn split_target(target: &[u8]) -> (Option<&[u8]>, &[u8], &[u8]) {
    let position = |text: &[u8], byte| text.iter().position(|other| *other == byte);
    let target = &target[..position(target, b'#').unwrap_or(target.len())];
    let scheme = target.windows(3).position(|part| part == b"://").filter(|_| !target.starts_with(b"/"));
    let (authority, target) = match scheme {
        Some(at) => {
            let rest = &target[at + 3..];
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, target),
    };
    let (path, query) = match position(target, b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &b""[..]),
    };
    (authority, if path.is_empty() && authority.is_some() { b"/" } else { path }, query)
}

/// Rules for the environ of this head.
fn is_of(head: &Head<'_>, mount: usize, variables: &Variables) {
    let get = |key: &str| variables.get(key).map(String::as_str);
    assert_eq!(get("REQUEST_METHOD"), Some(&*latin1(head.method)));
    assert_eq!(get("SERVER_PROTOCOL"), Some(&*latin1(head.version)));
    let (authority, path, query) = split_target(head.target);
    assert_eq!(get("QUERY_STRING"), Some(&*latin1(query)), "{head:?}");
    if authority.is_none() {
        let without = head.target.split(|byte| *byte == b'#').next().unwrap_or_default();
        assert_eq!(get("REQUEST_URI"), Some(&*latin1(without)));
    }
    // ENV-06 to ENV-09: both halves are the path, decoded once.
    let [script, info] = ["SCRIPT_NAME", "PATH_INFO"].map(|key| get(key).expect("always"));
    let joined = format!("{script}{info}");
    let path = if path == b"*" { Vec::new() } else { percent_decode(path) };
    let path = latin1(&path);
    match mount {
        PREFIXED if joined != path => assert_eq!(joined, format!("{PREFIX}{path}"), "{head:?}"),
        _ => assert_eq!(joined, path, "{head:?}"),
    }
    // ENV-14 to ENV-18: exactly the fields of the client, each under one key.
    let mut wanted = Variables::new();
    for (name, value) in &head.fields {
        let hidden: [&[u8]; 5] = [b"content-type", b"content-length", b"transfer-encoding", b"upgrade", b"proxy"];
        if name.contains(&b'_') || hidden.contains(&name.as_slice()) {
            continue;
        }
        let letter = |byte: &u8| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) };
        let key: String = "HTTP_".chars().chain(name.iter().map(letter)).collect();
        let separator = if name == b"cookie" { "; " } else { "," };
        let text = latin1(value);
        wanted.entry(key).and_modify(|joined| *joined = format!("{joined}{separator}{text}")).or_insert(text);
    }
    // ENV-19.
    if let Some(authority) = authority {
        let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
        wanted.insert("HTTP_HOST".to_owned(), latin1(host));
    }
    let found: Variables = variables
        .iter()
        .filter(|(key, _)| key.starts_with("HTTP_"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(found, wanted, "{head:?}");
    // ENV-11.
    let types: Vec<_> = head.fields.iter().filter(|(name, _)| name == b"content-type").collect();
    assert_eq!(get("CONTENT_TYPE"), types.first().map(|(_, value)| latin1(value)).as_deref());
}
