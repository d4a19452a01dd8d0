//! The id of a request.
//!
//! Threads: any.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Extensions;

/// The id of a request: `gateway.request_id` in the environ, and a field of the span of all its events.
///
/// Each request gets an id that is unique in its process. A layer with a better id, such as that of a trusted proxy,
/// puts it into the request's extensions.
///
/// # Example
///
/// ```
/// use axum::{Extension, Router};
/// use gateway::{Gateway, RequestId};
///
/// # let app = gateway::application_fn(|environ, start_response| {
/// #     start_response("200 OK", &[])?;
/// #     Ok(gateway::Chunks::new([environ.get("gateway.request_id").unwrap_or_default().to_owned()]))
/// # });
/// # let client = gateway::testing::Client::new(app);
/// # assert_eq!(client.request("GET", "/").extension(RequestId::new("f00")).send().text(), "f00");
/// # let app = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// // In practice a layer of your own takes it from the request.
/// let router: Router = Router::new().fallback_service(Gateway::new(app)).layer(Extension(RequestId::new("f00")));
/// # drop(router);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(IdKind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum IdKind {
    Counted(u64),
    Given(Arc<str>),
}

impl RequestId {
    /// An id from another source.
    pub fn new(name: impl Into<String>) -> Self {
        Self(IdKind::Given(name.into().into()))
    }

    /// The id that a layer has set for the request, or a new one.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        // A random start, so that two runs of a program use different ids.
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        extensions.get().cloned().unwrap_or_else(|| Self(IdKind::Counted(NEXT.fetch_add(1, Ordering::Relaxed))))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            IdKind::Counted(number) => write!(f, "{number:016x}"),
            IdKind::Given(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&format_args!("{self}")).finish()
    }
}
