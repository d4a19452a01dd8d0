//! What trusted proxies say of the client.
//!
//! Threads: any.

use std::net::IpAddr;

/// What trusted proxies have said about a request. [`TrustedProxies`](crate::TrustedProxies) puts it into the
/// extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// Whether it speaks HTTPS.
    pub https: Option<bool>,
    /// The prefix that was taken off the path, percent-encoded.
    pub prefix: Option<String>,
}
