//! The progress of a response.
//!
//! Threads: pool.

use std::time::Instant;

use crate::response::axum_body::AxumBody;
use crate::response::head::ResponseHead;

#[derive(Default)]
pub(crate) enum Progress {
    /// Nothing to send yet.
    #[default]
    NotStarted,
    /// The head and its declared length, held until the first byte.
    Started(ResponseHead, Option<u64>),
    /// The response of a handler, sent with the end; the known length of its body.
    Passed(ResponseHead, AxumBody, Option<u64>),
    /// The head was sent; `remaining` is the rest of the declared length.
    Sent { remaining: Option<u64> },
    /// The head of a response without a body was sent. Bytes are dropped, which is logged once; `since` is the time of
    /// the first write.
    Bodiless { since: Option<Instant>, is_logged: bool },
}

/// How much of a response was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Nothing: a failure can still be a clean response.
    Nothing,
    /// The head, and perhaps some of the body: a failure breaks the message off.
    Part,
    /// A complete message, which no failure changes.
    Whole,
}

impl Progress {
    pub(crate) fn extent(&self) -> Extent {
        match (self.head_is_sent(), self.is_complete()) {
            (false, _) => Extent::Nothing,
            (true, false) => Extent::Part,
            (true, true) => Extent::Whole,
        }
    }

    pub(crate) fn head_is_sent(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Bodiless { .. })
    }

    /// The head that the application has started and that was not sent, and the length that it declares.
    pub(crate) fn unsent(&self) -> Option<(&ResponseHead, Option<u64>)> {
        match self {
            Self::Started(head, declared) => Some((head, *declared)),
            Self::NotStarted | Self::Passed(..) | Self::Sent { .. } | Self::Bodiless { .. } => None,
        }
    }

    /// The declared length is reached, or there is no body to send: the application is asked for no more chunks.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Bodiless { .. } | Self::Sent { remaining: Some(0) })
    }
}
