//! Any conditions and ranges, for a file of which every byte is known.
//!
//! Threads: the caller's.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use arbitrary::{Arbitrary, Unstructured};
use gateway::testing::Inline;
use gateway::{Environ, FileResponse, Gateway, application_fn};
use http::HeaderValue;

use crate::answer::parse_all;
use crate::server::{App, Pieces, exchange, serving};

#[derive(Debug, Arbitrary)]
struct Request {
    is_head: bool,
    range: Range,
    others: Vec<(u8, Validator)>,
}

#[derive(Debug, Arbitrary)]
enum Range {
    None,
    Part(u8, u8),
    From(u8),
    Last(u8),
    Any(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
enum Validator {
    Current,
    Star,
    Any(Vec<u8>),
}

const OTHERS: [&str; 5] = ["If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"];
const TAG: &str = "\"v7\"";
const LENGTH: usize = 200;

/// The file; it lasts as long as the process.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&content()).expect("room");
    file.as_file().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("a date");
    file.into_temp_path().keep().expect("a path")
});

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect()
}

static APP: LazyLock<App> = LazyLock::new(|| {
    let app = application_fn(|environ: &mut Environ, start_response| {
        let file = FileResponse::open(&*FILE)?.header(http::header::ETAG, TAG);
        Ok(file.send(environ, start_response)?)
    });
    serving(Gateway::new(app).executor(Inline::new()))
});

pub(crate) fn check(input: &[u8]) {
    let Ok(request) = Request::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let range = match &request.range {
        Range::None => None,
        Range::Part(first, last) => Some(format!("bytes={first}-{last}").into_bytes()),
        Range::From(first) => Some(format!("bytes={first}-").into_bytes()),
        Range::Last(count) => Some(format!("bytes=-{count}").into_bytes()),
        Range::Any(bytes) => Some(bytes.clone()),
    };
    let mut fields: Vec<(&str, Vec<u8>)> = range.iter().map(|range| ("Range", range.clone())).collect();
    for (at, validator) in &request.others {
        let value = match validator {
            Validator::Current => TAG.as_bytes().to_vec(),
            Validator::Star => b"*".to_vec(),
            Validator::Any(bytes) => bytes.clone(),
        };
        fields.push((OTHERS[usize::from(*at) % OTHERS.len()], value));
    }
    fields.retain(|(_, value)| HeaderValue::from_bytes(value).is_ok());
    // hyper refuses a head of more than a hundred fields.
    fields.truncate(50);
    let method = if request.is_head { "HEAD" } else { "GET" };
    let mut bytes = format!("{method} / HTTP/1.1\r\nHost: h\r\n").into_bytes();
    for (name, value) in &fields {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    let received = exchange(&APP, &bytes, Pieces::whole());
    let answers = parse_all(&received.bytes, &[request.is_head]);
    assert_eq!(answers.len(), 1, "{fields:?}");
    let answer = &answers[0];
    assert!(answer.is_complete, "{fields:?}");
    let (content, about) = (content(), answer.value("content-range").map(String::from_utf8_lossy));
    match answer.status {
        200 => assert!(about.is_none() && (request.is_head || answer.body == content), "{fields:?}"),
        206 => {
            let about = about.expect("a range");
            let (part, length) = about.strip_prefix("bytes ").and_then(|text| text.split_once('/')).expect("a range");
            let (first, last) = part.split_once('-').expect("two ends");
            let [first, last] = [first, last].map(|end| end.parse::<usize>().expect("a position"));
            assert_eq!(length, LENGTH.to_string());
            assert!(!request.is_head && first <= last, "{fields:?}: {about}");
            assert_eq!(answer.body, content[first..=last], "{fields:?}");
            match request.range {
                Range::Part(wanted, end) => {
                    assert_eq!((first, last), (wanted.into(), usize::from(end).min(LENGTH - 1)), "{fields:?}");
                }
                Range::From(wanted) => assert_eq!((first, last), (wanted.into(), LENGTH - 1), "{fields:?}"),
                Range::Last(count) => {
                    assert_eq!((first, last), (LENGTH.saturating_sub(count.into()), LENGTH - 1), "{fields:?}");
                }
                Range::Any(_) => {}
                Range::None => panic!("a part without a range: {fields:?}"),
            }
        }
        416 => assert!(!request.is_head && about.as_deref() == Some("bytes */200"), "{fields:?}: {about:?}"),
        304 | 412 => assert!(request.others.iter().any(|(at, _)| at % 5 > 0), "{fields:?}"),
        status => panic!("{status} to {fields:?}"),
    }
    // Without other conditions, a valid range decides alone.
    if fields.len() == 1 && !request.is_head {
        let wanted = match request.range {
            Range::Part(first, last) if last < first => Some(200),
            Range::Part(first, _) | Range::From(first) => Some(if usize::from(first) < LENGTH { 206 } else { 416 }),
            Range::Last(count) => Some(if count == 0 { 416 } else { 206 }),
            Range::None | Range::Any(_) => None,
        };
        assert!(wanted.is_none_or(|wanted| wanted == answer.status), "{} to {fields:?}", answer.status);
    }
}
