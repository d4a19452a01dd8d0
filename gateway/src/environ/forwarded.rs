//! The facts that trusted proxies report about the client.
//!
//! Threads: any.

use std::net::IpAddr;

/// The facts that trusted proxies report about a request. [`TrustedProxies`](crate::TrustedProxies) puts them into the
/// extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// The port of the client.
    pub port: Option<u16>,
    /// Whether the client speaks HTTPS.
    pub https: Option<bool>,
    /// The prefix that a proxy removed from the path, percent-encoded.
    pub prefix: Option<String>,
}
