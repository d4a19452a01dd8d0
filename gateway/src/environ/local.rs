//! Where a request came in.
//!
//! Threads: any.

use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// The address at which a connection was accepted. Whoever accepts it puts this into the extensions of its requests, as
/// [`serve`](crate::serve()) does.
///
/// On TCP it is the connection's own: the address the client has reached, even if the listener is bound to `0.0.0.0`.
/// The environ has it as `SERVER_NAME` and `SERVER_PORT`, unless the mount is configured otherwise.
///
/// # Example
///
/// Below `axum::serve` on a Unix socket, which does not tell:
///
/// ```
/// use axum::{Extension, Router};
/// use gateway::LocalAddr;
///
/// let app: Router = Router::new().layer(Extension(LocalAddr::Unix));
/// # drop(app);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalAddr {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket, where nobody has an address.
    Unix,
}

impl LocalAddr {
    /// The address that a request came in at, if it has one, in its [canonical] form.
    pub(crate) fn of(extensions: &Extensions) -> Option<SocketAddr> {
        match extensions.get()? {
            Self::Tcp(address) => Some(canonical(*address)),
            Self::Unix => None,
        }
    }

    /// Whether a request came in where nobody has an address.
    pub(crate) fn is_unix(extensions: &Extensions) -> bool {
        matches!(extensions.get(), Some(Self::Unix))
    }
}

/// The one form in which an address is shown: a socket for both families has `::ffff:192.0.2.1` for `192.0.2.1`.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(IpAddr::V4(ip), address.port()),
        // As it is: it may have a scope.
        IpAddr::V6(_) => address,
    }
}
