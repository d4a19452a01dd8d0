//! Forwarding headers from trusted proxies.
//!
//! Threads: runtime.

mod fields;
mod node;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::ConnectInfo;
use http::{Request, Response, StatusCode};
use ipnet::IpNet;
use tower_layer::Layer;
use tower_service::Service;

use self::fields::{AddressField, read};
use crate::LocalAddr;
use crate::environ::forwarded::Forwarded;
use crate::log;
use crate::observe::warning::Warning;

/// A layer that takes the client's address, its scheme and the path prefix from headers of trusted proxies.
///
/// By default no peer and no header is trusted. A header is used only if it is enabled here and comes from a peer in
/// one of the networks; all other forwarding headers are removed from the request, so that no handler uses them. Enable
/// only headers that your proxy *sets*: a header that it merely forwards is the client's.
///
/// Addresses are read from the right, where each proxy appends its peer: the client is the first address that is not a
/// trusted proxy. Text to the left of it comes from the client, is not read, and may be anything. A malformed element
/// that a trusted proxy wrote is answered with 400. Empty elements of a list are ignored, and a field with only empty
/// elements counts as absent.
///
/// The schemes `wss` and `ws`, which some proxies send for a WebSocket, mean `https` and `http`. IPv4-mapped addresses
/// are normalised, in networks too: `::ffff:192.0.2.1` is `192.0.2.1`.
///
/// The result is in the request's extensions, as [`Forwarded`], and in the environ: `REMOTE_ADDR`, `wsgi.url_scheme`,
/// `SCRIPT_NAME`. `REMOTE_PORT` is absent unless the proxy sends it. [`ConnectInfo`] stays the peer.
///
/// If the server does not provide the peer address, no peer is trusted; the first such request logs a warning that
/// tells how to serve instead.
///
/// # Example
///
/// ```
/// use axum::Router;
/// use gateway::{Gateway, TrustedProxies};
///
/// # fn main() -> std::io::Result<()> {
/// # let app = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// let proxies = TrustedProxies::new(["127.0.0.1", "10.0.0.0/8"])?.x_forwarded_for().x_forwarded_proto();
/// // Around the router, so that it runs before it.
/// let router: Router = Router::new().fallback_service(Gateway::new(app)).layer(proxies);
/// # drop(router);
/// # Ok(())
/// # }
/// ```
///
/// RFC 7239 standardises `Forwarded`, which replaces the `X-Forwarded` headers.
#[derive(Debug, Clone)]
#[must_use]
pub struct TrustedProxies {
    rules: Arc<Rules>,
}

#[derive(Debug, Clone)]
struct Rules {
    networks: Vec<IpNet>,
    unix_sockets: bool,
    address_field: AddressField,
    proto: bool,
    prefix: bool,
    /// Logged once if the server does not provide the peer address.
    no_peer: Arc<Warning>,
}

impl TrustedProxies {
    /// Trusts the peers in these networks, such as `10.0.0.0/8`, or at these addresses, but uses no header yet.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), with the text that is neither a network nor an address.
    pub fn new<'n>(networks: impl IntoIterator<Item = &'n str>) -> io::Result<Self> {
        let networks = networks.into_iter().map(|text| {
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.map(canonical).ok_or_else(|| {
                let problem = format!("{text:?} is neither a network, such as \"10.0.0.0/8\", nor an address");
                io::Error::new(io::ErrorKind::InvalidInput, problem)
            })
        });
        let networks = networks.collect::<io::Result<_>>()?;
        Ok(Self {
            rules: Arc::new(Rules {
                networks,
                unix_sockets: false,
                address_field: AddressField::None,
                proto: false,
                prefix: false,
                no_peer: Arc::default(),
            }),
        })
    }
}

setters! {
    impl TrustedProxies;

    /// Also trusts peers on Unix sockets, if the server provides the local address, as [`serve`](crate::serve()) does.
    /// Every process that may open the socket is then trusted: restrict its permissions to the proxy.
    pub fn unix_sockets(mut self) { Arc::make_mut(&mut self.rules).unix_sockets = true }

    /// Uses `Forwarded` for the address and the scheme, instead of the two `X-Forwarded` headers for them.
    pub fn forwarded(mut self) {
        let rules = Arc::make_mut(&mut self.rules);
        (rules.address_field, rules.proto) = (AddressField::Forwarded, false)
    }

    /// Uses `X-Forwarded-For` for the address, instead of `Forwarded`.
    pub fn x_forwarded_for(mut self) { Arc::make_mut(&mut self.rules).address_field = AddressField::XForwardedFor }

    /// Uses `X-Forwarded-Proto` for the scheme: one scheme, or one for each address in `X-Forwarded-For`, also read
    /// from the right.
    pub fn x_forwarded_proto(mut self) { Arc::make_mut(&mut self.rules).proto = true }

    /// Uses `X-Forwarded-Prefix` for the prefix that the proxy has removed from the path; the last one, if there are
    /// several.
    pub fn x_forwarded_prefix(mut self) { Arc::make_mut(&mut self.rules).prefix = true }
}

/// Normalises an IPv4-mapped network to IPv4, the form in which peers are compared.
fn canonical(network: IpNet) -> IpNet {
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(prefix)) if network.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), prefix).unwrap_or(network)
        }
        _ => network,
    }
}

impl Rules {
    fn trust(&self, address: IpAddr) -> bool {
        // A dual-stack socket reports IPv4 peers as `::ffff:10.0.0.1`.
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Removes the forwarding headers from the request, and inserts their trusted content as an extension.
    fn apply<B>(&self, request: &mut Request<B>) -> Result<(), fields::Malformed> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let is_trusted = match (request.extensions().get(), peer) {
            (Some(LocalAddr::Unix), _) => self.unix_sockets,
            (_, Some(peer)) => self.trust(peer),
            (_, None) => {
                self.no_peer.no_proxy();
                false
            }
        };
        let forwarded = if is_trusted { read(self, request.headers())? } else { Forwarded::default() };
        fields::strip(request.headers_mut());
        request.extensions_mut().insert(forwarded);
        Ok(())
    }
}

impl<S> Layer<S> for TrustedProxies {
    type Service = Proxied<S>;

    fn layer(&self, service: S) -> Proxied<S> {
        Proxied { service, rules: Arc::clone(&self.rules) }
    }
}

/// A service behind trusted proxies. Created by [`TrustedProxies`].
#[derive(Debug, Clone)]
pub struct Proxied<S> {
    service: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for Proxied<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ProxiedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> ProxiedFuture<S::Future> {
        match self.rules.apply(&mut request) {
            Ok(()) => ProxiedFuture { inner: Some(Box::pin(self.service.call(request))) },
            Err(malformed) => {
                log::info!(header = %malformed.0, "a trusted proxy sent a forwarding header that cannot be read");
                ProxiedFuture { inner: None }
            }
        }
    }
}

/// The future of [`Proxied`].
#[must_use = "a future does nothing unless it is polled"]
pub struct ProxiedFuture<F> {
    /// `None` if the request is refused.
    inner: Option<Pin<Box<F>>>,
}

impl<F, R, E> Future for ProxiedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(inner) = &mut self.inner else {
            let mut response = Response::new(R::default());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Poll::Ready(Ok(response));
        };
        Poll::Ready(ready!(inner.as_mut().poll(cx)))
    }
}

partial_debug!(ProxiedFuture<F>, |this| is_refused: this.inner.is_none());
