//! What is unusual about a request.

/// A property of a request that servers treat differently. Some are legal, some may be tolerated by RFC 9112, and some
/// have to be refused; in none of them is it in doubt where the request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Feature {
    /// The request is for the async neighbour of the application.
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
    /// Whether a server must refuse it, by the RFC.
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
