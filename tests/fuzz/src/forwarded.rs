//! The fields of proxies: what the trusted proxies have appended decides alone, whatever the client has sent before it,
//! and a peer that is not trusted decides nothing (SEC-05).
//!
//! Threads: the caller's.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use arbitrary::{Arbitrary, Unstructured};
use axum::extract::ConnectInfo;
use gateway::{Forwarded, TrustedProxies};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tower::{Layer as _, Service as _};

/// The fields of a request, as the proxies pass it on.
#[derive(Debug, Arbitrary)]
struct Fields {
    is_standard: bool,
    /// What the client has sent: values of the field.
    client: Vec<Vec<u8>>,
    /// The client's last value and the proxies' first members are in one field.
    is_joined: bool,
    /// The address that the first trusted proxy saw.
    seen: u8,
    is_https: bool,
    /// How many more trusted proxies the request went through.
    hops: u8,
    is_trusted: bool,
    quoted: bool,
    spaces: bool,
}

thread_local! {
    static SEEN: RefCell<Option<(Forwarded, usize)>> = const { RefCell::new(None) };
}

/// The status, and what the service behind the proxies was told, with the number of fields that were left.
fn told(
    proxies: &TrustedProxies,
    peer: [u8; 4],
    fields: &[(HeaderName, HeaderValue)],
) -> (StatusCode, Option<Forwarded>) {
    SEEN.take();
    let service = tower::service_fn(|request: Request<()>| {
        let forwarded = request.extensions().get::<Forwarded>().cloned().expect("always there");
        SEEN.set(Some((forwarded, request.headers().len())));
        std::future::ready(Ok::<_, Infallible>(Response::new(())))
    });
    let mut request = Request::new(());
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 4711))));
    for (name, value) in fields {
        request.headers_mut().append(name, value.clone());
    }
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = proxies.layer(service).call(request);
    let status = match std::pin::Pin::new(&mut future).poll(&mut cx) {
        std::task::Poll::Ready(Ok(response)) => response.status(),
        std::task::Poll::Pending => panic!("nothing to wait for"),
    };
    let seen = SEEN.take();
    assert!(seen.as_ref().is_none_or(|(_, left)| *left == 0), "fields are left");
    (status, seen.map(|(forwarded, _)| forwarded))
}

/// An address that no proxy has, in one of the forms in which proxies write it.
fn written(address: IpAddr, is_standard: bool, quoted: bool) -> String {
    match address {
        IpAddr::V6(address) if is_standard => format!("\"[{address}]\""),
        IpAddr::V4(address) if is_standard && quoted => format!("\"{address}:4712\""),
        address => address.to_string(),
    }
}

pub(crate) fn check(input: &[u8]) {
    let Ok(fields) = Fields::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let trusted = || TrustedProxies::new(["10.0.0.0/8"]).expect("a network");
    let (name, proxies) = match fields.is_standard {
        true => (http::header::FORWARDED, trusted().forwarded()),
        false => (HeaderName::from_static("x-forwarded-for"), trusted().x_forwarded_for().x_forwarded_proto()),
    };
    let seen: IpAddr = match fields.seen % 3 {
        0 => IpAddr::from([192, 0, 2, fields.seen]),
        1 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(fields.seen)]),
        _ => IpAddr::from([203, 0, 113, fields.seen]),
    };
    let scheme = if fields.is_https { "https" } else { "http" };
    let hops = usize::from(fields.hops % 4);
    let addresses = std::iter::once(seen).chain((0..hops).map(|hop| IpAddr::from([10, 0, 0, hop as u8 + 1])));
    let members = addresses.enumerate().map(|(at, address)| {
        let text = written(address, fields.is_standard, fields.quoted);
        match (fields.is_standard, at) {
            (true, 0) => format!("for={text};proto={scheme};by=_x"),
            (true, _) => format!("For={text}"),
            (false, _) => text,
        }
    });
    let ours = members.collect::<Vec<_>>().join(if fields.spaces { " , " } else { "," });

    // What remains of the client's text as field values.
    let mut values: Vec<Vec<u8>> = fields.client.clone();
    values.retain(|value| HeaderValue::from_bytes(value).is_ok());
    match values.last_mut() {
        Some(last) if fields.is_joined => {
            last.extend(b",");
            last.extend(ours.bytes());
        }
        _ => values.push(ours.clone().into_bytes()),
    }
    let mut all: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for value in &values {
        all.push((name.clone(), HeaderValue::from_bytes(value).expect("it was checked")));
    }
    if !fields.is_standard {
        // One scheme for each address.
        let schemes = [vec![scheme], vec!["http"; hops]].concat().join(", ");
        for value in fields.client.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
            all.push((HeaderName::from_static("x-forwarded-proto"), value));
        }
        all.push((HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_str(&schemes).expect("words")));
    }
    let peer = if fields.is_trusted { [10, 1, 1, 1] } else { [198, 51, 100, 1] };
    let (status, forwarded) = told(&proxies, peer, &all);
    if fields.is_trusted {
        let forwarded = forwarded.unwrap_or_else(|| panic!("{status}: {fields:?}, {ours}"));
        assert_eq!((forwarded.client, forwarded.https), (Some(seen), Some(fields.is_https)), "{fields:?}, {ours}");
    } else {
        let forwarded = forwarded.unwrap_or_else(|| panic!("{status}: {fields:?}"));
        assert_eq!((forwarded.client, forwarded.https), (None, None), "{fields:?}");
    }

    // Any text from a trusted peer: an answer, whatever it is.
    let any: Vec<_> = fields.client.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()).collect();
    for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-prefix"] {
        let fields: Vec<_> = any.iter().map(|value| (HeaderName::from_static(name), value.clone())).collect();
        let all = trusted().x_forwarded_for().x_forwarded_proto().x_forwarded_prefix();
        for proxies in [all, trusted().forwarded()] {
            let (status, forwarded) = told(&proxies, [10, 1, 1, 1], &fields);
            assert_eq!(status == StatusCode::OK, forwarded.is_some());
            let prefix = forwarded.and_then(|forwarded| forwarded.prefix).unwrap_or_default();
            assert!(prefix.is_empty() || prefix.starts_with('/') && !prefix.starts_with("//"), "{prefix:?}");
            assert!(!prefix.ends_with('/') && prefix.bytes().all(|byte| byte.is_ascii_graphic()), "{prefix:?}");
        }
    }
}
