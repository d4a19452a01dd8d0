//! How a request ended.
//!
//! Threads: any.

/// How a request ended. The default is the outcome of a response whose sender was dropped before it stated an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RequestOutcome {
    /// All of the application's response was sent.
    Complete,
    /// The application failed before its first byte, or its request body could not be spooled: the client got a clean
    /// response.
    Error,
    /// The application failed after its first byte: the message was broken off.
    #[default]
    Aborted,
    /// The client sent a request that cannot be served, or a body that was cut off, too late or too large: it got 4xx
    /// or 501, or the message was broken off.
    ClientError,
    /// The client disconnected before it had the whole response, or took nothing of it for too long.
    ClientGone,
    /// The deadline passed before the response was complete.
    Deadline,
    /// There was no room for the request.
    Shed,
    /// The request was queued for too long; the application was not called.
    Expired,
    /// An extractor of a handler refused the request; the handler was not called.
    Refused,
    /// The client disconnected while the request was queued; the application was not called.
    Cancelled,
}

impl RequestOutcome {
    /// How many there are.
    #[cfg(feature = "metrics")]
    pub(crate) const COUNT: usize = Self::Cancelled as usize + 1;

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Error => "error",
            Self::Aborted => "aborted",
            Self::ClientError => "client error",
            Self::ClientGone => "client gone",
            Self::Deadline => "deadline",
            Self::Shed => "shed",
            Self::Expired => "expired in queue",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled in queue",
        }
    }
}
