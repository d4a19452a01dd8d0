//! Comparing two responses, and logging their differences.
//!
//! Threads: any.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::shadow::ShadowOptions;
use crate::environ::target::original_path;
use crate::log;
use crate::log_text::LogField;
use crate::{BoxError, RequestId};

/// The compared part of the primary's response.
pub(super) struct PrimaryResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether `body` is the whole body.
    pub(super) is_whole: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The statuses differ.
    Status { primary: StatusCode, shadow: StatusCode },
    /// The values of one header field differ.
    Header { name: HeaderName, primary: String, shadow: String },
    /// `primary` bytes were compared; the first `offset` are equal.
    Body { offset: usize, primary: usize },
    /// The shadow gave no response, or an incomplete one.
    Failure(String),
}

/// Sends the request to the shadow, and compares the responses.
pub(super) async fn differences<C, CB>(
    service: C,
    request: Request<Body>,
    primary: PrimaryResponse,
    options: Arc<ShadowOptions>,
) -> Vec<Difference>
where
    C: Service<Request<Body>, Response = Response<CB>, Error: Into<BoxError>>,
    CB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let is_head = request.method() == Method::HEAD;
    let (shadow, body) = match send(service, request).await {
        Ok(response) => response.into_parts(),
        Err(failure) => return vec![failure],
    };
    let mut found = Vec::new();
    if shadow.status != primary.status {
        found.push(Difference::Status { primary: primary.status, shadow: shadow.status });
    }
    headers(&primary.headers, &shadow.headers, &options.ignored, &mut found);
    if !is_head {
        found.extend(compare_body(&primary, body).await);
    }
    found
}

async fn send<C, CB>(mut service: C, request: Request<Body>) -> Result<Response<Body>, Difference>
where
    C: Service<Request<Body>, Response = Response<CB>, Error: Into<BoxError>>,
    CB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let failure = |error: C::Error| Difference::failure(error.into());
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.map_err(failure)?;
    let response = service.call(request).await.map_err(failure)?;
    Ok(response.map(Body::new))
}

fn headers(primary: &HeaderMap, shadow: &HeaderMap, ignored: &[HeaderName], found: &mut Vec<Difference>) {
    // Sorted by name, for a deterministic log.
    let names: BTreeMap<&str, &HeaderName> =
        primary.keys().chain(shadow.keys()).map(|name| (name.as_str(), name)).collect();
    for name in names.into_values() {
        if !ignored.contains(name) && !primary.get_all(name).iter().eq(shadow.get_all(name)) {
            let (primary, shadow) = (values(primary, name), values(shadow, name));
            found.push(Difference::Header { name: name.clone(), primary, shadow });
        }
    }
}

/// The values of a field, for the log.
fn values(headers: &HeaderMap, name: &HeaderName) -> String {
    let shown = |value: &HeaderValue| {
        if value.is_sensitive() || *name == header::SET_COOKIE {
            return "(hidden)".to_owned();
        }
        LogField(&String::from_utf8_lossy(value.as_bytes())).to_string()
    };
    let values: Vec<String> = headers.get_all(name).iter().map(shown).collect();
    if values.is_empty() { "(absent)".to_owned() } else { values.join(", ") }
}

/// Reads the shadow's body up to the first difference.
async fn compare_body(primary: &PrimaryResponse, mut body: Body) -> Option<Difference> {
    let mut rest = &*primary.body;
    let differs =
        |rest: &[u8]| Difference::Body { offset: primary.body.len() - rest.len(), primary: primary.body.len() };
    loop {
        if rest.is_empty() && !primary.is_whole {
            return None;
        }
        let data = match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Some(Difference::failure(error)),
            None if rest.is_empty() => return None,
            None => return Some(differs(rest)),
        };
        let alike = rest.iter().zip(&data).take_while(|(ours, theirs)| ours == theirs).count();
        rest = &rest[alike..];
        let is_beyond_what_is_compared = rest.is_empty() && !primary.is_whole;
        if alike < data.len() && !is_beyond_what_is_compared {
            return Some(differs(rest));
        }
    }
}

/// The fields that identify a request in the log.
pub(super) struct RequestLabel {
    method: Method,
    path: String,
    id: Option<RequestId>,
}

impl RequestLabel {
    pub(super) fn new(head: &Parts) -> Self {
        let path = LogField(original_path(head)).to_string();
        Self { method: head.method.clone(), path, id: head.extensions.get().cloned() }
    }
}

impl Difference {
    pub(super) fn failure(error: impl fmt::Display) -> Self {
        Self::Failure(LogField(&error.to_string()).to_string())
    }

    /// Logs one event.
    pub(super) fn log(&self, label: &RequestLabel) {
        let RequestLabel { method, path, id } = label;
        let request_id = id.as_ref().map(log::display);
        macro_rules! warn {
            ($($rest:tt)+) => {
                log::warn!(target: "gateway::shadow", request_id, %method, %path, $($rest)+)
            };
        }
        match self {
            Self::Status { primary, shadow } => {
                warn!(primary = primary.as_u16(), shadow = shadow.as_u16(), "the status differs");
            }
            Self::Header { name, primary, shadow } => {
                warn!(header = %name, %primary, %shadow, "a header differs");
            }
            Self::Body { offset, primary } => {
                warn!(offset, compared = primary, "the body differs");
            }
            Self::Failure(error) => warn!(%error, "the shadow failed"),
        }
    }
}
