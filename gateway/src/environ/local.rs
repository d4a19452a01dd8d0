//! The local address of a request, and the variables that the addresses decide.
//!
//! Threads: any.

use std::net::{IpAddr, SocketAddr};

use http::Extensions;

#[cfg(feature = "python")]
use crate::Environ;
use crate::test_request::TestRequest;

/// The address at which a connection was accepted. The server puts it into the extensions of the connection's requests,
/// as [`serve`](crate::serve()) does.
///
/// On TCP it is the address that the client has reached, even if the listener is bound to `0.0.0.0`. The environ has it
/// as `SERVER_NAME` and `SERVER_PORT`, unless the mount is configured otherwise.
///
/// # Example
///
/// Below `axum::serve` on a Unix socket, which does not set it:
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
    /// A Unix socket, which has no address.
    Unix,
}

impl LocalAddr {
    /// The local address of a request, if it has one, in its [canonical] form.
    pub(crate) fn of(extensions: &Extensions) -> Option<SocketAddr> {
        match extensions.get()? {
            Self::Tcp(address) => Some(canonical(*address)),
            Self::Unix => None,
        }
    }

    /// Whether the request has come by a Unix socket.
    pub(crate) fn is_unix(extensions: &Extensions) -> bool {
        matches!(extensions.get(), Some(Self::Unix))
    }

    /// Whether the server should report a peer: the request has neither come from a Unix socket nor from a test client.
    pub(crate) fn implies_peer(extensions: &Extensions) -> bool {
        !Self::is_unix(extensions) && extensions.get::<TestRequest>().is_none()
    }
}

/// The text of an address. Every request to Python has two of them: an eighth of the instructions of [`ToString`].
pub(super) fn text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
    text
}

/// The text of a port.
pub(super) fn port_text(port: u16) -> String {
    itoa::Buffer::new().format(port).to_owned()
}

/// The form in which an address is shown: a dual-stack socket reports `192.0.2.1` as `::ffff:192.0.2.1`.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(IpAddr::V4(ip), address.port()),
        // Unchanged: the address may have a scope.
        IpAddr::V6(_) => address,
    }
}

/// Both ends of a connection. They decide four variables of most requests.
#[cfg(feature = "python")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    local: SocketAddr,
    peer: SocketAddr,
}

/// The variables that [`Addresses`] decide.
#[cfg(feature = "python")]
pub(crate) const OF_ADDRESSES: [&str; 4] = ["SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT"];

#[cfg(feature = "python")]
impl Addresses {
    /// Which of [`OF_ADDRESSES`] are the same for both.
    pub(crate) fn have_in_common(&self, other: &Self) -> [bool; 4] {
        [
            self.local.ip() == other.local.ip(),
            self.local.port() == other.local.port(),
            self.peer.ip() == other.peer.ip(),
            self.peer.port() == other.peer.port(),
        ]
    }
}

#[cfg(feature = "python")]
impl Environ {
    /// `None` if anything else may decide [`OF_ADDRESSES`]: the mount, the application, or a proxy.
    pub(crate) fn addresses(&self) -> Option<Addresses> {
        let settings = self.mount.settings();
        let is_configured = settings.server_name.is_some() || settings.server_port.is_some();
        let has_client = self.forwarded().is_some_and(|forwarded| forwarded.client.is_some());
        if is_configured || has_client || !self.is_plain() {
            return None;
        }
        Some(Addresses { local: self.local_addr()?, peer: self.remote_addr()? })
    }
}
