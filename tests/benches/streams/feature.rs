//! Unusual properties of a request.

/// A property of a request that servers treat differently. RFC 9112 allows some of them, permits servers to tolerate
/// others, and forbids the rest. None of them makes the end of the request ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Feature {
    /// The request is for the async route beside the application.
    AsyncRoute,
    LeadingEmptyLine,
    BareLfInHead,
    BareCrInHead,
    WhitespaceInRequestLine,
    SpaceInTarget,
    SimpleRequest,
    MinorVersion,
    OtherVersion,
    UnusualMethod,
    LowerCaseMethod,
    Connect,
    AbsoluteTarget,
    AsteriskTarget,
    OddTarget,
    RawByteInTarget,
    UnsafeCharacterInTarget,
    FragmentInTarget,
    BadPercentInTarget,
    HostMissing,
    HostRepeated,
    HostOdd,
    FoldedField,
    OddFieldName,
    FieldWithoutColon,
    ControlInField,
    NulInField,
    ObsText,
    LengthRepeated,
    LengthLeadingZeros,
    LengthAboveLimit,
    EncodingOnHttp10,
    EncodingAndLength,
    BadLengthBesideEncoding,
    EncodingElementEmpty,
    OtherEncoding,
    ChunkedRepeated,
    CloseAndKeepAlive,
    OddKeepAlive,
    Expectation,
    ChunkExtension,
    ControlInChunkExtension,
    ChunkSizePadded,
    ChunkSizeLong,
    BareLfInChunks,
    Trailers,
    OddTrailer,
    BodyBroken,
}

impl Feature {
    /// Whether RFC 9112 requires a server to refuse the request.
    pub(crate) fn is_forbidden(self) -> bool {
        matches!(
            self,
            Self::HostMissing
                | Self::HostRepeated
                | Self::HostOdd
                | Self::OddFieldName
                | Self::FieldWithoutColon
                | Self::OddTrailer
                | Self::NulInField
                | Self::ChunkedRepeated
                | Self::OtherEncoding
        )
    }
}
