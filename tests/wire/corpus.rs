//! The parser corpora of gunicorn: requests from its source distribution, which pip downloads when the test runs.
//! Without a network the tests are skipped, and the log contains a message that begins with `SKIPPED` for each of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use gateway_tests::{Flavour, Segments, Server, run, skip};
use http::Uri;
use tower::Layer as _;
use tower::util::MapRequestLayer;

use crate::served;

/// The version that the lists of exceptions below belong to.
const SOURCE: &str = "gunicorn==27.0.1";

/// Valid requests that this server refuses. It also refuses HTTP/1.1 requests without a host, see
/// [`Case::is_anonymous`].
const REFUSED: &[(&str, &str)] = &[
    ("025", "codings other than `chunked` would reach the application undecoded, so that they are 501"),
    ("025_line", "codings other than `chunked` would reach the application undecoded, so that they are 501"),
    ("099", "the body has 8599 of the 17914 bytes that are declared"),
    (
        "compat_obs_fold",
        "folded fields are obsolete (RFC 9112 \u{a7}5.2); the case configures that they are let through",
    ),
    (
        "compat_obs_fold_huge",
        "folded fields are obsolete (RFC 9112 \u{a7}5.2); the case configures that they are let through",
    ),
    ("pp_01", "the PROXY protocol is spoken before HTTP, and has to be configured"),
    ("pp_02", "the PROXY protocol is spoken before HTTP, and has to be configured"),
    ("pp_04", "the PROXY protocol is spoken before HTTP, and has to be configured"),
    ("pp_05", "the PROXY protocol is spoken before HTTP, and has to be configured"),
    (
        "rfc9112_smuggle_gzip_chunked_01",
        "codings other than `chunked` would reach the application undecoded, so that they are 501",
    ),
    ("rfc9112_smuggle_te_identity_chunked_01", "codings other than `chunked` are 501, whatever they claim to do"),
    ("rfc9112_target_authority_connect_01", "there are no tunnels through a gateway: CONNECT is 501"),
    ("rfc9112_target_authority_ipv6_01", "there are no tunnels through a gateway: CONNECT is 501"),
];

/// Invalid requests that this server accepts.
const ACCEPTED: &[(&str, &str)] = &[
    ("006", "a request line of 8 KiB is within the limits here, which are hyper's"),
    ("007", "a header field of 8 KiB is within the limits here, which are hyper's"),
    ("008", "two header fields of 8 KiB are within the limits here, which are hyper's"),
    ("011", "not invalid, but more than a limit of two fields that the case configures"),
    ("012", "not invalid, but more than a limit of 98 bytes that the case configures"),
    ("040", "not invalid: names with an underscore are dropped here, and the case asks for a refusal"),
    ("limit_header_default_01", "a header field of 8 KiB is within the limits here, which are hyper's"),
    ("rfc9110_trailer_forbidden_cl_01", "trailers are kept apart from the headers, where they can do no harm"),
    ("rfc9110_trailer_forbidden_host_01", "trailers are kept apart from the headers, where they can do no harm"),
    ("rfc9110_trailer_forbidden_te_01", "trailers are kept apart from the headers, where they can do no harm"),
    ("rfc9112_bare_lf_01", "a single LF may end a line (RFC 9112 \u{a7}2.2), and hyper lets it"),
    (
        "rfc9112_leading_crlf_02",
        "empty lines before a request are skipped, which RFC 9112 \u{a7}2.2 asks for one of them",
    ),
    (
        "rfc9112_smuggle_cl_te_chunked_01",
        "the length is dropped, the body is the chunked one, and the connection closes",
    ),
    ("rfc9112_target_non_ascii_02", "a target in UTF-8 is unambiguous; its bytes arrive as they are"),
];

struct Case {
    name: String,
    /// The bytes on the wire.
    bytes: Vec<u8>,
    /// The number of requests in the bytes.
    requests: usize,
}

impl Case {
    /// RFC 9112 §3.2 requires a 400 for requests without a host; the corpora do not.
    fn is_anonymous(&self) -> bool {
        let text = String::from_utf8_lossy(&self.bytes).to_ascii_lowercase();
        let heads = text.match_indices(" http/1.").take(self.requests);
        let strict = heads.filter(|(at, _)| text[*at..].starts_with(" http/1.1")).count();
        // An absolute target names the host as well.
        strict > text.matches("\nhost:").count() + text.matches(" http://").count()
    }
}

/// The folder of a corpus, or `None` if it cannot be downloaded; the test then prints a message.
fn corpus(test: &str, name: &str) -> Option<PathBuf> {
    static FETCHED: LazyLock<Result<PathBuf, String>> = LazyLock::new(fetch);
    FETCHED.as_ref().map_err(|reason| skip(test, reason)).ok().map(|corpora| corpora.join(name))
}

fn fetch() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(SOURCE.replace("==", "-"));
    let corpora = folder.join("tests/requests");
    if corpora.is_dir() {
        return Ok(corpora);
    }
    // Unpack to a temporary folder and rename it: another process may do the same at the same time.
    let draft = folder.with_extension(std::process::id().to_string());
    fs::create_dir_all(&draft).unwrap();
    let script = format!(
        "python3 -m pip download --quiet --retries 1 --no-deps --no-binary :all: {SOURCE} \
         && tar xzf *.tar.gz --strip-components 1"
    );
    let (status, _, complaint) = run(Command::new("sh").args(["-c", &script]).current_dir(&draft));
    // The other process may have renamed its folder first.
    if !status.success() || fs::rename(&draft, &folder).is_err() {
        fs::remove_dir_all(&draft).unwrap();
    }
    let last = complaint.lines().last().unwrap_or_default();
    corpora
        .is_dir()
        .then_some(corpora)
        .ok_or_else(|| format!("pip cannot download {SOURCE}, which takes a network: {last}"))
}

/// The cases of one corpus, in order.
fn cases(test: &str, name: &str) -> Option<Vec<Case>> {
    let folder = corpus(test, name)?;
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    paths.sort();
    assert!(paths.len() > 30, "{} has but {} cases", folder.display(), paths.len());
    Some(paths.iter().map(|path| case(path)).collect())
}

fn case(path: &Path) -> Case {
    let bytes = unescape(&fs::read(path).unwrap());
    let expectation = fs::read_to_string(path.with_extension("py")).unwrap();
    // The expectation of a valid case describes each request; the expectation of an invalid case describes none.
    let described = expectation.matches("\"method\":").count();
    let begun = bytes.windows(8).filter(|window| *window == b" HTTP/1.").count();
    Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        bytes,
        requests: if described > 0 { described } else { begun.max(1) },
    }
}

/// A corpus file writes line ends and invisible bytes with backslashes; the line ends of the file itself are ignored.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'\n', _) => {}
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = &after[3..];
            }
            (b'\\', [escaped, ..]) => {
                bytes.push(match escaped {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'0' => 0,
                    other => panic!("an escape that is not known: {}", char::from(*other)),
                });
                rest = &after[1..];
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// wsgibin, where every path leads to the route that reads the whole body, so that a broken body is an error.
fn reading(segments: Segments) -> Server {
    // The server waits for a missing body, but only for a short time.
    let router = served(&["--body-idle-ms", "200"]);
    let leading = MapRequestLayer::new(|mut request: Request| {
        if request.uri().path().starts_with('/') {
            *request.uri_mut() = Uri::from_static("/sum");
        }
        request
    });
    let router = Router::new().fallback_service(leading.layer(router));
    Server::in_segments(segments, Flavour::MultiThread, router)
}

/// Calls `judge` with the statuses of the answers to each case, in order.
fn replay(segments: Segments, cases: &[Case], mut judge: impl FnMut(&Case, &[u16])) {
    let server = reading(segments);
    for case in cases {
        let mut connection = server.connect();
        connection.give_up_after(Duration::from_secs(1));
        let mut statuses = Vec::new();
        // The server closes early when it refuses a request.
        let _ = connection.try_send_bytes(&case.bytes);
        let is_head = case.bytes.starts_with(b"HEAD");
        loop {
            if statuses.len() == case.requests {
                // The end of the sending side shows whether the server sends one answer too many.
                connection.finish_sending();
            }
            let reply = if is_head { connection.head_reply_or_reset() } else { connection.reply_or_reset() };
            match reply {
                Some(reply) => statuses.push(reply.status()),
                None => break,
            }
        }
        judge(case, &statuses);
    }
}

/// The application has received the request and read its whole body.
fn is_accepted(status: u16) -> bool {
    // `OPTIONS *` matches no route.
    status == 200 || status == 404
}

fn is_excepted(list: &[(&str, &str)], case: &Case) -> bool {
    list.iter().any(|(name, _)| *name == case.name)
}

/// SEC-07, ENV-40, ENV-41: no valid request is refused.
#[test]
fn every_valid_request_is_accepted() {
    let Some(cases) = cases("every_valid_request_is_accepted", "valid") else { return };
    let mut wrong = Vec::new();
    for segments in Segments::ALL {
        replay(segments, &cases, |case, statuses| {
            let accepted = statuses.len() == case.requests && statuses.iter().all(|status| is_accepted(*status));
            if accepted == (is_excepted(REFUSED, case) || case.is_anonymous()) {
                wrong.push(format!("{} ({segments:?}): {} requests, {statuses:?}", case.name, case.requests));
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// SEC-07, SEC-13: no invalid request is accepted, and none yields more responses than there are requests.
#[test]
fn no_invalid_request_is_accepted() {
    let Some(cases) = cases("no_invalid_request_is_accepted", "invalid") else { return };
    let mut wrong = Vec::new();
    for segments in Segments::ALL {
        replay(segments, &cases, |case, statuses| {
            assert!(statuses.len() <= case.requests, "{} ({segments:?}): {statuses:?}", case.name);
            let accepted = statuses.iter().filter(|status| is_accepted(**status)).count();
            if (accepted == case.requests) != is_excepted(ACCEPTED, case) {
                wrong.push(format!("{} ({segments:?}): {} requests, {statuses:?}", case.name, case.requests));
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each exception in the lists above names an existing case, and has a reason.
#[test]
fn every_exception_is_a_case_with_a_reason() {
    for (list, corpus) in [(REFUSED, "valid"), (ACCEPTED, "invalid")] {
        let Some(cases) = cases("every_exception_is_a_case_with_a_reason", corpus) else { return };
        let names: Vec<_> = cases.into_iter().map(|case| case.name).collect();
        for (name, reason) in list {
            assert!(names.iter().any(|known| known == name), "{name} is no case of {corpus}");
            assert!(reason.len() > 20, "{name} is excepted for no reason");
        }
    }
}
