//! Header fields of reverse proxies. SEC-05.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use futures_util::FutureExt as _;
use gateway::testing::Inline;
use gateway::{Forwarded, Gateway, TrustedProxies};
use gateway_tests::answer_fn;
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _};

/// `REMOTE_ADDR REMOTE_PORT scheme SCRIPT_NAME` behind these proxies, or the status if it is not 200.
fn seen(proxies: &TrustedProxies, peer: &str, headers: &[(&str, &str)]) -> String {
    let app = answer_fn(|environ| {
        let keys = ["REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "SCRIPT_NAME"];
        // The header fields themselves are removed, for trusted and for other peers.
        assert!(!environ.iter().any(|(key, _)| key.starts_with("HTTP_X_FORWARDED") || key == "HTTP_FORWARDED"));
        assert!(environ.extensions().get::<Forwarded>().is_some());
        Ok([keys.map(|key| environ.get(key).unwrap_or("-")).join(" ")])
    });
    let mut request = http::Request::get("/x").body(axum::body::Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    request.headers_mut().insert("host", "h".parse().unwrap());
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let answer = proxies.layer(Gateway::new(app).executor(Inline::new())).call(request);
    let response = answer.now_or_never().expect("nothing to wait for").unwrap();
    if response.status() != 200 {
        return response.status().as_u16().to_string();
    }
    let body = response.into_body().collect().now_or_never().expect("it is whole").unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn proxies() -> TrustedProxies {
    TrustedProxies::new(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).unwrap()
}

const NEAR: &str = "10.0.0.1:9";

/// SEC-05: a header is used only if it is configured and comes from a trusted peer.
#[test]
fn only_configured_headers_of_trusted_peers_are_used() {
    let all = proxies().x_forwarded_for().x_forwarded_proto().x_forwarded_prefix();
    let headers = [
        ("x-forwarded-for", "203.0.113.5"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/shop/"),
        ("forwarded", "for=6.6.6.6;proto=http"),
    ];
    assert_eq!(seen(&all, NEAR, &headers), "203.0.113.5 - https /shop");
    assert_eq!(seen(&all, "[::ffff:10.0.0.1]:9", &headers), "203.0.113.5 - https /shop");
    assert_eq!(seen(&all, "192.0.2.7:9", &headers), "203.0.113.5 - https /shop");
    assert_eq!(seen(&all, "192.0.2.8:9", &headers), "192.0.2.8 9 http ");
    assert_eq!(seen(&proxies(), NEAR, &headers), "10.0.0.1 9 http ");
    assert_eq!(seen(&proxies().x_forwarded_for(), NEAR, &headers), "203.0.113.5 - http ");
    assert_eq!(seen(&proxies().forwarded(), NEAR, &headers), "6.6.6.6 - http ");
    assert_eq!(seen(&all, NEAR, &[]), "10.0.0.1 9 http ");
}

/// SEC-05: the client is the first address from the right that is not a trusted proxy, however long the list is.
#[test]
fn addresses_are_counted_from_the_right() {
    let by = proxies().x_forwarded_for();
    let rows = [
        ("6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5, 10.1.1.1", "203.0.113.5"),
        ("6.6.6.6,203.0.113.5,10.1.1.1, 192.0.2.7", "203.0.113.5"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("2001:db9::1", "2001:db9::1"),
        ("[2001:db9::1]:4711", "2001:db9::1"),
        ("203.0.113.5, 2001:db8::1", "203.0.113.5"),
    ];
    for (list, client) in rows {
        let port = if list.contains("4711") { "4711" } else { "-" };
        assert_eq!(seen(&by, NEAR, &[("x-forwarded-for", list)]), format!("{client} {port} http "), "{list}");
    }
    // Two fields form one list.
    let twice = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.5, 10.1.1.1")];
    assert_eq!(seen(&by, NEAR, &twice), "203.0.113.5 - http ");
    // One scheme for each hop, or one scheme for all hops.
    let by = by.x_forwarded_proto();
    let list = ("x-forwarded-for", "6.6.6.6, 203.0.113.5, 10.1.1.1");
    assert_eq!(seen(&by, NEAR, &[list, ("x-forwarded-proto", "http, https, http")]), "203.0.113.5 - https ");
    assert_eq!(seen(&by, NEAR, &[list, ("x-forwarded-proto", "HTTPS")]), "203.0.113.5 - https ");
}

/// SEC-05: the standard header `Forwarded`, with quotes, brackets and obfuscated names.
#[test]
fn the_forwarded_header_is_read_as_rfc_7239_has_it() {
    let by = proxies().forwarded();
    let rows = [
        ("for=203.0.113.5", "203.0.113.5 - http "),
        ("For=\"203.0.113.5:80\";Proto=https;by=10.0.0.1", "203.0.113.5 80 https "),
        ("for=6.6.6.6, for=\"[2001:db9::1]:4711\";proto=https, for=10.1.1.1;proto=http", "2001:db9::1 4711 https "),
        ("for=\"203.0.113.5:_hidden\"", "203.0.113.5 - http "),
        ("for=203.0.113.5;host=\"a,b;c\\\"d\"", "203.0.113.5 - http "),
        ("for=\"203.0.113.5\";host=\"a\\\\\";proto=https", "203.0.113.5 - https "),
        // Pairs may be empty.
        (";for=203.0.113.5;;proto=https;", "203.0.113.5 - https "),
        // The client is unknown: only the peer remains.
        ("for=unknown;proto=https", "10.0.0.1 9 https "),
        ("for=_secret", "10.0.0.1 9 http "),
    ];
    for (value, expected) in rows {
        assert_eq!(seen(&by, NEAR, &[("forwarded", value)]), expected, "{value}");
    }
}

/// SEC-05: an obfuscated client may have a port, plain or obfuscated, which is ignored without an address.
#[test]
fn a_hidden_client_may_have_a_port() {
    for name in ["unknown", "UNKNOWN", "_secret", "_a.b-c_1"] {
        for port in ["", ":8080", ":_hidden"] {
            let node = format!("{name}{port}");
            let headers = [("x-forwarded-for", format!("6.6.6.6, {node}")), ("forwarded", format!("for=\"{node}\""))];
            for (by, (header, value)) in [proxies().x_forwarded_for(), proxies().forwarded()].iter().zip(headers) {
                assert_eq!(seen(by, NEAR, &[(header, &value)]), "10.0.0.1 9 http ", "{header}: {value}");
            }
        }
    }
    let by = proxies().forwarded();
    assert_eq!(seen(&by, NEAR, &[("forwarded", "for=\"[2001:db9::1]:_x\"")]), "2001:db9::1 - http ");
}

/// SEC-05: Traefik sends `wss` for each WebSocket.
#[test]
fn the_schemes_of_websockets_are_those_of_http() {
    let by = proxies().x_forwarded_for().x_forwarded_proto();
    for (scheme, expected) in [("wss", "https"), ("ws", "http"), ("WSS", "https"), ("Ws", "http")] {
        assert_eq!(seen(&by, NEAR, &[("x-forwarded-proto", scheme)]), format!("10.0.0.1 9 {expected} "));
        let forwarded = format!("for=203.0.113.5;proto={scheme}");
        let seen = seen(&proxies().forwarded(), NEAR, &[("forwarded", &forwarded)]);
        assert_eq!(seen, format!("203.0.113.5 - {expected} "));
    }
}

/// SEC-05: an empty element is ignored (RFC 9110 §5.6.1.2). nginx creates one from an empty field.
#[test]
fn empty_elements_of_a_list_are_ignored() {
    let by = proxies().x_forwarded_for().x_forwarded_proto().x_forwarded_prefix();
    let empties: [fn(&str) -> String; 4] = [
        |text| format!(", {text}"),
        |text| format!("{text},"),
        |text| format!(",,\t{text} , ,"),
        |text| format!("{text}, 10.1.1.1, , 10.2.2.2"),
    ];
    for with_empty in empties {
        let list = with_empty("203.0.113.9");
        assert_eq!(seen(&by, NEAR, &[("x-forwarded-for", &list)]), "203.0.113.9 - http ", "{list:?}");
    }
    for with_empty in &empties[..3] {
        let (proto, prefix) = (with_empty("https"), with_empty("/shop"));
        let headers = [("x-forwarded-proto", &*proto), ("x-forwarded-prefix", &*prefix)];
        assert_eq!(seen(&by, NEAR, &headers), "10.0.0.1 9 https /shop", "{headers:?}");
        let list = with_empty("for=203.0.113.9;proto=https");
        let seen = seen(&proxies().forwarded(), NEAR, &[("forwarded", &list)]);
        assert_eq!(seen, "203.0.113.9 - https ", "{list:?}");
    }
    // A field with only empty elements is ignored, whatever its position among the fields of its name.
    for empty in ["", " ", ",", ", ,"] {
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-prefix"] {
            assert_eq!(seen(&by, NEAR, &[(name, empty)]), "10.0.0.1 9 http ", "{name}: {empty:?}");
        }
        let fields = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", empty)];
        assert_eq!(seen(&by, NEAR, &fields), "203.0.113.9 - http ", "{empty:?}");
    }
}

/// SEC-05: the text to the left of the trusted hops comes from the client, and is never a reason to refuse the request.
#[test]
fn text_left_of_the_trusted_hops_is_not_parsed() {
    let texts = [
        "not-an-address",
        "\"",
        "\"open, ",
        "for=\"open",
        "\\",
        "for=\"a\\",
        "for",
        "for=1.2.3.4;for=5.6.7.8",
        "proto=gopher",
        "=;=,;,",
        "caf\u{e9}",
        "for=caf\u{e9}",
    ];
    let by = proxies().x_forwarded_for().x_forwarded_proto().x_forwarded_prefix();
    for text in texts {
        for hops in ["203.0.113.5", "203.0.113.5, 10.1.1.1"] {
            let list = format!("{text}, {hops}");
            assert_eq!(seen(&by, NEAR, &[("x-forwarded-for", &list)]), "203.0.113.5 - http ", "{list:?}");
            // The same in a separate field.
            let fields = [("x-forwarded-for", text), ("x-forwarded-for", hops)];
            assert_eq!(seen(&by, NEAR, &fields), "203.0.113.5 - http ", "{fields:?}");
        }
        let (proto, prefix) = (format!("{text}, https"), format!("{text}, /shop"));
        let headers = [("x-forwarded-proto", &*proto), ("x-forwarded-prefix", &*prefix)];
        assert_eq!(seen(&by, NEAR, &headers), "10.0.0.1 9 https /shop", "{headers:?}");
        for hops in ["for=203.0.113.5;proto=https", "For=\"203.0.113.5\" ; proto=wss, for=10.1.1.1;host=\"a,\\\"b\""] {
            let list = format!("{text}, {hops}");
            let seen = seen(&proxies().forwarded(), NEAR, &[("forwarded", &list)]);
            assert_eq!(seen, "203.0.113.5 - https ", "{list:?}");
        }
    }
}

/// SEC-05: RFC 7239 §4 allows each parameter once in an element. Two are ambiguous.
#[test]
fn a_parameter_of_an_element_comes_once() {
    let by = proxies().forwarded();
    for twice in ["for=203.0.113.5;for=203.0.113.5", "for=203.0.113.5;proto=http;For=6.6.6.6", "proto=http;proto=https"]
    {
        assert_eq!(seen(&by, NEAR, &[("forwarded", twice)]), "400", "{twice}");
        // Left of the client's hop it is only text.
        let list = format!("{twice}, for=203.0.113.5");
        assert_eq!(seen(&by, NEAR, &[("forwarded", &list)]), "203.0.113.5 - http ", "{list}");
    }
}

/// SEC-05: schemes are counted from the right, like addresses, so that schemes which a client prepends have no effect.
#[test]
fn schemes_are_counted_from_the_right() {
    let by = proxies().x_forwarded_for().x_forwarded_proto();
    let rows = [
        ("203.0.113.5", "https, https", "https"),
        ("203.0.113.5", "http, https", "https"),
        ("203.0.113.5", "https, http", "http"),
        ("203.0.113.5, 10.1.1.1", "https, http", "https"),
        ("203.0.113.5, 10.1.1.1", "http, https, http", "https"),
        ("6.6.6.6, 203.0.113.5, 10.1.1.1", "https, http", "https"),
        // One of three proxies sends the scheme, so it is the scheme of the outermost hop for which it is known.
        ("203.0.113.5, 10.1.1.1, 10.2.2.2", "https", "https"),
        ("203.0.113.5, 10.1.1.1, 10.2.2.2", "https, http", "https"),
    ];
    for (list, schemes, expected) in rows {
        let headers = [("x-forwarded-for", list), ("x-forwarded-proto", schemes)];
        assert_eq!(seen(&by, NEAR, &headers), format!("203.0.113.5 - {expected} "), "{headers:?}");
    }
    // Without addresses the last scheme is the peer's.
    let alone = proxies().x_forwarded_proto();
    assert_eq!(seen(&alone, NEAR, &[("x-forwarded-proto", "http, https")]), "10.0.0.1 9 https ");
}

/// SEC-05, ENV-23: an IPv4 address is the same in every notation of a socket, a proxy or a network, and the environ has
/// a single notation.
#[test]
fn an_ipv4_address_in_ipv6_is_that_address() {
    let mapped = ["::ffff:127.0.0.1", "::ffff:127.0.0.0/104", "::FFFF:7f00:1/128", "::ffff:0:0/96", "127.0.0.1"];
    for network in mapped {
        let by = TrustedProxies::new([network]).unwrap().x_forwarded_for();
        for peer in ["127.0.0.1:9", "[::ffff:127.0.0.1]:9"] {
            for client in ["203.0.113.5", "::ffff:203.0.113.5", "[::ffff:203.0.113.5]"] {
                let list = format!("{client}, ::ffff:127.0.0.1, 127.0.0.1");
                assert_eq!(
                    seen(&by, peer, &[("x-forwarded-for", &list)]),
                    "203.0.113.5 - http ",
                    "{network} {peer} {list}"
                );
            }
            assert_eq!(seen(&by, peer, &[]), "127.0.0.1 9 http ", "{network} {peer}");
        }
        assert_eq!(seen(&by, "[2001:db9::1]:9", &[("x-forwarded-for", "6.6.6.6")]), "2001:db9::1 9 http ", "{network}");
    }
    let narrow = TrustedProxies::new(["::ffff:10.1.0.0/112"]).unwrap().x_forwarded_for();
    assert_eq!(seen(&narrow, "10.1.255.1:9", &[("x-forwarded-for", "203.0.113.5")]), "203.0.113.5 - http ");
    assert_eq!(seen(&narrow, "10.2.0.1:9", &[("x-forwarded-for", "203.0.113.5")]), "10.2.0.1 9 http ");
    let by = proxies().forwarded();
    assert_eq!(seen(&by, NEAR, &[("forwarded", "for=\"[::ffff:203.0.113.5]:80\"")]), "203.0.113.5 80 http ");
}

/// SEC-05: an invalid header of a trusted peer is a 400; the headers of other peers may have any content.
#[test]
fn an_invalid_header_of_a_trusted_peer_is_refused() {
    let all = proxies().x_forwarded_for().x_forwarded_proto().x_forwarded_prefix();
    let rows = [
        ("x-forwarded-for", "not-an-address"),
        ("x-forwarded-for", "203.0.113.5, not-an-address"),
        ("x-forwarded-for", "203.0.113.5, caf\u{e9}"),
        ("x-forwarded-for", "not-an-address, 10.1.1.1"),
        ("x-forwarded-for", "203.0.113.5:99999"),
        ("x-forwarded-for", "203.0.113.5:+80"),
        ("x-forwarded-for", "203.0.113.5:000080"),
        ("x-forwarded-for", "203.0.113.5:"),
        ("x-forwarded-for", "[203.0.113.5]:80"),
        ("x-forwarded-for", "[2001:db9::1"),
        ("x-forwarded-for", "2001:db9::1]:80"),
        ("x-forwarded-for", "_"),
        ("x-forwarded-for", "_a b"),
        ("x-forwarded-for", "unknown:port"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-proto", "https, gopher"),
        ("x-forwarded-prefix", "shop"),
        ("x-forwarded-prefix", "//evil"),
        ("x-forwarded-prefix", "/a?b"),
        ("x-forwarded-prefix", "/a, b"),
        ("x-forwarded-prefix", "/a\tb"),
        ("x-forwarded-prefix", "/caf\u{e9}"),
    ];
    for header in rows {
        assert_eq!(seen(&all, NEAR, &[header]), "400", "{header:?}");
        assert_eq!(seen(&all, "192.0.2.8:9", &[header]), "192.0.2.8 9 http ", "{header:?}");
    }
    for value in [
        "for",
        "for=\"203.0.113.5",
        "for=\"203.0.113.5\"80\"",
        "for=\"203.0.113.5\\\"",
        "for=[::1",
        "proto=x",
        "for=a b",
        "for=1.2.3.4 proto=http",
        "for=1.2.3.4, for",
        "for=unknown, for=",
    ] {
        assert_eq!(seen(&proxies().forwarded(), NEAR, &[("forwarded", value)]), "400", "{value}");
    }
    let error = TrustedProxies::new(["10.0.0.0/33"]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("\"10.0.0.0/33\""), "{error}");
}

/// SEC-05: the layer wraps a router, and does not change `ConnectInfo`.
#[tokio::test(crate = "crate::bounded")]
async fn the_layer_goes_around_a_router() {
    use axum::{Router, routing::get};
    use tower::ServiceExt as _;
    let shown = get(|ConnectInfo(peer): ConnectInfo<SocketAddr>, forwarded: axum::Extension<Forwarded>| async move {
        format!("{peer} {:?}", forwarded.client)
    });
    let router: Router = Router::new().route("/", shown).layer(proxies().x_forwarded_for());
    let mut request =
        http::Request::get("/").header("x-forwarded-for", "203.0.113.5").body(axum::body::Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(NEAR.parse().unwrap()));
    let body = router.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "10.0.0.1:9 Some(203.0.113.5)");
}
