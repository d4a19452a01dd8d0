//! How a request ended.
//!
//! Threads: any.

/// How a request ended. The default is the outcome of a response whose sender was dropped before it stated an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RequestOutcome {
    /// All of the application's response was sent.
    Complete,
    /// The application failed before its first byte, or its request body could not be read or spooled: the client got a
    /// clean response.
    Error,
    /// The application failed after its first byte: the message was broken off.
    #[default]
    Aborted,
    /// The client disconnected before it had the whole response, or took nothing of it for too long.
    ClientGone,
    /// The deadline passed before the response was complete.
    Deadline,
    /// There was no room for the request.
    Shed,
    /// The request was queued for too long; the application was not called.
    Expired,
    /// The gateway refused the request without calling the application.
    Refused,
    /// The client disconnected while the request was queued; the application was not called.
    Cancelled,
}

impl RequestOutcome {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 9] = [
        Self::Complete,
        Self::Error,
        Self::Aborted,
        Self::ClientGone,
        Self::Deadline,
        Self::Shed,
        Self::Expired,
        Self::Refused,
        Self::Cancelled,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Error => "error",
            Self::Aborted => "aborted",
            Self::ClientGone => "client gone",
            Self::Deadline => "deadline",
            Self::Shed => "shed",
            Self::Expired => "expired in queue",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled in queue",
        }
    }
}
