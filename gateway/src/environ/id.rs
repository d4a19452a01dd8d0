//! The id of a request.
//!
//! Threads: any.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use http::{Extensions, HeaderValue};

/// The id of a request: `gateway.request_id` in the environ, and a field of the span of all its events.
///
/// Each request gets an id that is unique in its process. [`RequestIdLayer`](crate::RequestIdLayer) takes it from the
/// header `X-Request-Id` instead; another layer with a better id puts it into the request's extensions. With the
/// feature `tower-http`, the `RequestId` of that crate is used if there is none of this type.
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
    /// In hexadecimal digits.
    Counted([u8; 16]),
    Given(Arc<str>),
}

impl RequestId {
    /// An id from another source.
    pub fn new(name: impl Into<String>) -> Self {
        Self(IdKind::Given(name.into().into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Digits are always UTF-8.
            IdKind::Counted(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            IdKind::Given(name) => name,
        }
    }

    /// The id that a layer has set for the request, or a new one.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self::given(extensions).unwrap_or_else(Self::new_unique)
    }

    /// The id that a layer has set for the request.
    pub(crate) fn given(extensions: &Extensions) -> Option<Self> {
        let given = extensions.get().cloned();
        #[cfg(feature = "tower-http")]
        let given = given.or_else(|| {
            let id: &tower_http::request_id::RequestId = extensions.get()?;
            // That crate accepts any value that the client sends.
            Self::of_client(id.header_value())
        });
        given
    }

    /// An id that no other request of this process has.
    pub(crate) fn new_unique() -> Self {
        // A random start, so that two runs of a program use different ids.
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let digit = |at: usize| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 0xf];
        Self(IdKind::Counted(std::array::from_fn(digit)))
    }

    /// The id that a client has sent, if it is safe in every log: 1 to 128 letters, digits and `+-./:=@_~`.
    pub(crate) fn of_client(value: &HeaderValue) -> Option<Self> {
        let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-./:=@_~".contains(byte);
        let text = value.to_str().ok()?;
        ((1..=128).contains(&text.len()) && text.as_bytes().iter().all(is_safe)).then(|| Self::new(text))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&format_args!("{self}")).finish()
    }
}
