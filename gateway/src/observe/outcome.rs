//! How a request ended.
//!
//! Threads: any.

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of the application's response was sent.
    Complete,
    /// The application failed before its first byte, or could not read what the client sent: a clean answer says so.
    Error,
    /// The application failed after its first byte: the message was broken off.
    Aborted,
    /// The client left before it had everything.
    ClientGone,
    /// The deadline passed before it was complete.
    Deadline,
    /// There was no room for it.
    Shed,
    /// It waited in line for too long; the application never saw it.
    Expired,
    /// It was refused without asking the application.
    Refused,
    /// The client left while the request waited in line; the application never saw it.
    Cancelled,
}

impl Outcome {
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
