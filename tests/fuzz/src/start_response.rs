//! Any status and headers, in any order of calls, and the head on the wire (SR, WR-05).
//!
//! Threads: the caller's.

use std::sync::{LazyLock, Mutex, PoisonError};

use arbitrary::{Arbitrary, Unstructured};
use gateway::testing::Inline;
use gateway::{CallError, Chunks, Gateway, StartResponse, application_fn};

use crate::answer::{Answer, parse_all};
use crate::head::trim;
use crate::server::{App, Pieces, exchange, serving};

/// A head, as an application gives it.
#[derive(Debug, Clone, Arbitrary)]
struct Head {
    status: Status,
    fields: Vec<(Name, Value)>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Status {
    Fine(u16),
    WithReason(u16, String),
    Any(String),
}

#[derive(Debug, Clone, Arbitrary)]
enum Name {
    Known(u8),
    Any(String),
}

#[derive(Debug, Clone, Arbitrary)]
enum Value {
    Number(u8),
    Latin1(Vec<u8>),
    Any(String),
}

#[derive(Debug, Clone, Arbitrary)]
enum Step {
    Start(Head),
    Replace(Head),
    Write(u8),
}

/// The steps of an application, up to the first that fails.
#[derive(Debug, Clone, Arbitrary)]
struct Script {
    steps: Vec<Step>,
    chunk: u8,
}

const KNOWN: [&str; 16] = [
    "Content-Type",
    "content-type",
    "Date",
    "Server",
    "Set-Cookie",
    "X-A",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Status",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "X_B",
];

impl Head {
    fn status(&self) -> String {
        match &self.status {
            Status::Fine(code) => format!("{} OK", code % 1000),
            Status::WithReason(code, reason) => format!("{:03} {reason}", code % 1100),
            Status::Any(text) => text.clone(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let name = |name: &Name| match name {
            Name::Known(at) => KNOWN[usize::from(*at) % KNOWN.len()].to_owned(),
            Name::Any(text) => text.clone(),
        };
        let value = |value: &Value| match value {
            Value::Number(number) => number.to_string(),
            Value::Latin1(bytes) => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Value::Any(text) => text.clone(),
        };
        self.fields.iter().map(|(one, other)| (name(one), value(other))).collect()
    }

    /// SR-15, SR-16, SR-20 to SR-24. The lengths have a target of their own.
    fn is_fine(&self) -> bool {
        let status = self.status();
        let Some((code, reason)) = status.split_once(' ') else { return false };
        let is_code = code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit()) && code >= "200";
        let is_latin1 = |text: &str| text.chars().all(|letter| u32::from(letter) <= 0xff);
        let is_reason = reason.trim_matches(' ') == reason
            && is_latin1(reason)
            && !reason.chars().any(|letter| letter.is_ascii_control());
        let mut once = Vec::new();
        let is_field = |name: &str, value: &str| {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let lower = name.to_ascii_lowercase();
            let is_refused = [
                "connection",
                "keep-alive",
                "proxy-authenticate",
                "proxy-authorization",
                "proxy-connection",
                "te",
                "trailer",
                "trailers",
                "transfer-encoding",
                "upgrade",
                "status",
            ];
            let value = value.trim_matches([' ', '\t']);
            !name.is_empty()
                && name.bytes().all(is_token)
                && !is_refused.contains(&lower.as_str())
                && is_latin1(value)
                && !value.chars().any(|letter| letter.is_ascii_control() && letter != '\t')
        };
        let fields = self.fields();
        for (name, _) in &fields {
            let name = name.to_ascii_lowercase();
            if matches!(name.as_str(), "content-type" | "date" | "server") {
                if once.contains(&name) {
                    return false;
                }
                once.push(name);
            }
        }
        let fits = fields.len() <= 100;
        is_code && is_reason && fits && fields.iter().all(|(name, value)| is_field(name, value))
    }

    /// Whether the length is among the fields, of which this target has none.
    fn has_length(&self) -> bool {
        self.fields().iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
    }
}

/// The script of the run, and which of its steps failed.
static RUN: Mutex<(Script, Vec<bool>)> = Mutex::new((Script { steps: Vec::new(), chunk: 0 }, Vec::new()));
/// One run at a time: the application has its script from `RUN`.
static TURN: Mutex<()> = Mutex::new(());

fn run<'r>(start_response: &StartResponse<'r>, script: &Script) -> Result<(), CallError> {
    let mut write = None;
    for step in &script.steps {
        let result = match step {
            Step::Start(head) => {
                let fields = head.fields();
                let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
                start_response(&head.status(), &fields).map(|new| write = Some(new))
            }
            Step::Replace(head) => {
                let fields = head.fields();
                let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
                start_response.replace("replaced", &head.status(), &fields).map(|new| write = Some(new))
            }
            Step::Write(count) => match &write {
                Some(write) => write.send(vec![b'w'; usize::from(*count)]),
                None => Ok(()),
            },
        };
        RUN.lock().unwrap_or_else(PoisonError::into_inner).1.push(result.is_ok());
        result?;
    }
    Ok(())
}

static APP: LazyLock<App> = LazyLock::new(|| {
    let app = application_fn(|_, start_response: StartResponse<'_>| {
        let script = RUN.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        run(&start_response, &script)?;
        Ok(Chunks::new([vec![b'c'; usize::from(script.chunk)]]))
    });
    serving(Gateway::new(app).executor(Inline::new()))
});

pub(crate) fn check(input: &[u8]) {
    let Ok(script) = Script::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let heads = script.steps.iter().filter_map(|step| match step {
        Step::Start(head) | Step::Replace(head) => Some(head),
        Step::Write(_) => None,
    });
    if heads.clone().any(Head::has_length) {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    *RUN.lock().unwrap_or_else(PoisonError::into_inner) = (script.clone(), Vec::new());
    let received = exchange(&APP, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Pieces::whole());
    let results = std::mem::take(&mut RUN.lock().unwrap_or_else(PoisonError::into_inner).1);

    // The contract, step by step: the head, whether it was sent, and the written bytes.
    let (mut head, mut is_called, mut is_sent, mut body, mut failed) = (None, false, false, 0, false);
    for (at, step) in script.steps.iter().enumerate() {
        let fails = match step {
            // SR-08, SR-14.
            Step::Start(new) => {
                let fails = is_called || !new.is_fine();
                is_called = true;
                if !fails {
                    head = Some(new);
                }
                fails
            }
            // SR-10 to SR-12.
            Step::Replace(new) => {
                is_called = true;
                let fails = is_sent || !new.is_fine();
                if !is_sent {
                    head = new.is_fine().then_some(new);
                }
                fails
            }
            // WR-01, WR-05.
            Step::Write(count) => {
                is_sent |= head.is_some();
                body += usize::from(*count) * usize::from(head.is_some());
                false
            }
        };
        assert_eq!(results.get(at), Some(&!fails), "step {at} of {script:?}");
        if fails {
            failed = true;
            break;
        }
    }
    let answers = parse_all(&received.bytes, &[]);
    assert_eq!(answers.len(), 1, "{script:?}");
    let answer = &answers[0];
    match head {
        Some(head) if !failed || is_sent => sent_as_given(answer, head, &script),
        _ => assert_eq!((answer.status, answer.is_complete), (500, true), "{script:?}"),
    }
    let has_body = !matches!(answer.status, 204 | 205 | 304);
    if head.is_some() && !failed {
        let chunk = usize::from(script.chunk);
        assert!(answer.is_complete, "{script:?}");
        assert_eq!(answer.body.len(), if has_body { body + chunk } else { 0 }, "{script:?}");
    } else if is_sent && has_body {
        // ERR-05.
        assert!(!answer.is_complete, "{script:?}");
    }
}

/// SR-17, SR-22, SR-25, SR-29.
fn sent_as_given(answer: &Answer, head: &Head, script: &Script) {
    let status = head.status();
    let (code, reason) = status.split_once(' ').expect("it is fine");
    assert_eq!(answer.status.to_string(), code, "{script:?}");
    let bytes = |text: &str| text.chars().map(|letter| u8::try_from(letter).expect("Latin-1")).collect::<Vec<u8>>();
    assert_eq!(answer.reason, bytes(reason), "{script:?}");
    let mut wanted: std::collections::BTreeMap<String, Vec<Vec<u8>>> = std::collections::BTreeMap::new();
    for (name, value) in head.fields() {
        wanted.entry(name.to_ascii_lowercase()).or_default().push(trim(&bytes(&value)).to_vec());
    }
    for (name, values) in &wanted {
        let found: Vec<_> = answer.values(name).map(<[u8]>::to_vec).collect();
        assert_eq!(&found, values, "{name} of {script:?}");
    }
    assert_eq!(answer.values("date").count(), 1, "{script:?}");
    for (name, _) in &answer.fields {
        let name = String::from_utf8_lossy(name);
        let is_own = ["date", "content-length", "transfer-encoding", "connection"].contains(&&*name);
        assert!(is_own || wanted.contains_key(&*name), "{name} was not given: {script:?}");
    }
}
