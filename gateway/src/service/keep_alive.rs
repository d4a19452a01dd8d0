//! Whether a connection can be kept after a response.
//!
//! Threads: runtime.

use http::header::{CONNECTION, HeaderValue};
use http::{Response, Version};

use crate::body::pump::BodyGuard;

/// Decides whether the connection can be kept after the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepAlive {
    pub(crate) version: Version,
    /// There is a body, and the server leaves it to the gateway to end the connection if the body stays unread.
    pub(crate) closes_if_unread: bool,
}

impl KeepAlive {
    /// Whether the connection ends with the response of an application that has returned, or was never called.
    pub(super) fn ends_without_reader(self, upload: Option<&BodyGuard>) -> bool {
        // The rest of the body will not be read (RFC 9112 §9.6).
        self.version < Version::HTTP_2 && upload.is_some_and(|upload| !upload.is_complete())
    }

    /// Whether the connection ends with a streamed response.
    pub(super) fn ends_with_stream(self, upload: Option<&BodyGuard>, length: Option<u64>) -> bool {
        // An application that has not asked for the body by now is assumed never to. The gateway can no longer ask a
        // client that waits for `100 Continue`.
        let is_never_asked = upload.is_some_and(|upload| !upload.is_wanted() && !upload.is_complete());
        // On HTTP/1.0 the end of a body without a length is the end of the connection.
        let is_close_delimited = self.version < Version::HTTP_11 && length.is_none();
        self.version < Version::HTTP_2 && is_never_asked || is_close_delimited
    }
}

/// Ends the connection after the response (RFC 9112 §9.6).
pub(crate) fn end_connection<B>(response: &mut Response<B>, version: Version) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if version == Version::HTTP_10 {
        // To a response of version 1.1 hyper adds the `keep-alive` that an HTTP/1.0 client asks for.
        *response.version_mut() = Version::HTTP_10;
    }
}
