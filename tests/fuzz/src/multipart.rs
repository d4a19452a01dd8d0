//! Forms: what was sent is what is read, and any other bytes are an error or a form, however much of it is read.
//!
//! Threads: the caller's.

use std::cell::RefCell;
use std::io::Read as _;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use gateway::testing::Inline;
use gateway::{Chunks, Environ, Gateway, application_fn};

use crate::answer::parse_all;
use crate::server::{App, Pieces, exchange, serving};

#[derive(Debug, Arbitrary)]
enum Form {
    Made { fields: Vec<Sent>, preamble: bool, steps: Vec<u8> },
    Any { body: Vec<u8>, content_type: Vec<u8>, steps: Vec<u8> },
}

#[derive(Debug, Arbitrary)]
struct Sent {
    name: Vec<u8>,
    is_file: bool,
    content: Vec<u8>,
}

/// A field, as the application has read it: its name, whether it is a file, and its content.
type Seen = (String, bool, Vec<u8>);

thread_local! {
    /// How many bytes the application reads at a time; 0 leaves the rest of a field unread.
    static STEPS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
}

static APP: LazyLock<App> = LazyLock::new(|| {
    let app = application_fn(|environ: &mut Environ, start_response| {
        SEEN.take();
        let steps = STEPS.with_borrow(Clone::clone);
        let mut steps = steps.iter().cycle();
        let mut form = environ.multipart()?;
        while let Some(mut field) = form.next()? {
            let (name, is_file) = (field.name().unwrap_or_default().to_owned(), field.file_name().is_some());
            let mut content = Vec::new();
            loop {
                let mut part = vec![0; steps.next().copied().unwrap_or(40).into()];
                let count = field.read(&mut part)?;
                content.extend_from_slice(&part[..count]);
                if count == 0 {
                    break;
                }
            }
            SEEN.with_borrow_mut(|seen| seen.push((name, is_file, content)));
        }
        start_response("200 OK", &[])?;
        Ok(Chunks::empty())
    });
    serving(Gateway::new(app).executor(Inline::new()))
});

/// The status, and the fields that the application has read.
fn send(content_type: &[u8], body: &[u8], steps: &[u8]) -> (u16, Vec<Seen>) {
    STEPS.set(steps.to_vec());
    let mut bytes = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: ".to_vec();
    bytes.extend(content_type);
    bytes.extend(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend(body);
    let received = exchange(&APP, &bytes, Pieces::whole());
    let answers = parse_all(&received.bytes, &[]);
    assert_eq!(answers.len(), 1);
    (answers[0].status, SEEN.take())
}

pub(crate) fn check(input: &[u8]) {
    let Ok(form) = Form::arbitrary_take_rest(Unstructured::new(input)) else { return };
    match form {
        Form::Made { fields, preamble, steps } => {
            let mut body = if preamble { b"preamble\r\n".to_vec() } else { Vec::new() };
            let mut sent: Vec<Seen> = Vec::new();
            for Sent { name, is_file, content } in fields {
                // A content that holds the boundary is another form.
                if content.windows(4).any(|part| part == b"--XX") || content.starts_with(b"-XX") {
                    continue;
                }
                let name: String = name.iter().map(|letter| char::from(b'a' + letter % 26)).collect();
                let file = if is_file { "; filename=\"f\"" } else { "" };
                let head = format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
                body.extend(head.bytes().chain(content.iter().copied()).chain(*b"\r\n"));
                sent.push((name, is_file, content));
            }
            body.extend(b"--XX--\r\n");
            let reads_all = steps.iter().all(|step| *step > 0);
            let (status, seen) = send(b"multipart/form-data; boundary=XX", &body, &steps);
            assert_eq!((status, seen.len()), (200, sent.len()), "{sent:?}");
            for ((name, is_file, content), (wanted, wants_file, whole)) in seen.iter().zip(&sent) {
                assert_eq!((name, is_file), (wanted, wants_file), "{sent:?}");
                assert!(whole.starts_with(content) && (!reads_all || content == whole), "{content:?} of {sent:?}");
            }
        }
        Form::Any { body, content_type, steps } => {
            let is_value = http::HeaderValue::from_bytes(&content_type).is_ok();
            let types = [&b"multipart/form-data; boundary=XX"[..], if is_value { &*content_type } else { b"x" }];
            for content_type in types {
                let (status, _) = send(content_type, &body, &steps);
                assert!(matches!(status, 200 | 400 | 415), "{status} to {content_type:?} {body:?}");
            }
        }
    }
}
