//! What proxies in front say. SEC-05.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use futures_util::FutureExt as _;
use gateway::testing::Inline;
use gateway::{Chunks, Forwarded, Gateway, TrustedProxies, application_fn};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _};

/// `REMOTE_ADDR REMOTE_PORT scheme SCRIPT_NAME`, as seen behind these proxies; the status if that is not 200.
fn seen(proxies: &TrustedProxies, peer: &str, headers: &[(&str, &str)]) -> String {
    let app = application_fn(|environ, start_response| {
        start_response("200 OK", &[])?;
        let keys = ["REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "SCRIPT_NAME"];
        // Whoever is believed or not, the headers themselves are gone.
        assert!(!environ.iter().any(|(key, _)| key.starts_with("HTTP_X_FORWARDED") || key == "HTTP_FORWARDED"));
        assert!(environ.extensions().get::<Forwarded>().is_some());
        Ok(Chunks::new([keys.map(|key| environ.get(key).unwrap_or("-")).join(" ")]))
    });
    let mut request = http::Request::get("/x").body(axum::body::Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    request.headers_mut().insert("host", "h".parse().unwrap());
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
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

/// SEC-05: a header is believed if it is named and comes from a trusted peer, and not otherwise.
#[test]
fn only_what_is_named_is_believed_and_only_from_those_who_are_trusted() {
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

/// SEC-05: the client is the first from the right that is no proxy, however many the request claims to have come through.
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
    // Two fields are one list.
    let twice = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.5, 10.1.1.1")];
    assert_eq!(seen(&by, NEAR, &twice), "203.0.113.5 - http ");
    // One scheme for each hop, or one for all.
    let by = by.x_forwarded_proto();
    let list = ("x-forwarded-for", "6.6.6.6, 203.0.113.5, 10.1.1.1");
    assert_eq!(seen(&by, NEAR, &[list, ("x-forwarded-proto", "http, https, http")]), "203.0.113.5 - https ");
    assert_eq!(seen(&by, NEAR, &[list, ("x-forwarded-proto", "HTTPS")]), "203.0.113.5 - https ");
}

/// SEC-05: the standard's own header, quotes, brackets, hidden names and all.
#[test]
fn the_forwarded_header_is_read_as_rfc_7239_has_it() {
    let by = proxies().forwarded();
    let rows = [
        ("for=203.0.113.5", "203.0.113.5 - http "),
        ("For=\"203.0.113.5:80\";Proto=https;by=10.0.0.1", "203.0.113.5 80 https "),
        ("for=6.6.6.6, for=\"[2001:db9::1]:4711\";proto=https, for=10.1.1.1;proto=http", "2001:db9::1 4711 https "),
        ("for=\"203.0.113.5:_hidden\"", "203.0.113.5 - http "),
        ("for=203.0.113.5;host=\"a,b;c\\\"d\"", "203.0.113.5 - http "),
        // Nobody knows who it was: there is but the peer.
        ("for=unknown;proto=https", "10.0.0.1 9 https "),
        ("for=_secret", "10.0.0.1 9 http "),
    ];
    for (value, expected) in rows {
        assert_eq!(seen(&by, NEAR, &[("forwarded", value)]), expected, "{value}");
    }
}

/// SEC-05: what is believed and cannot be read is a 400; what is not believed may be anything.
#[test]
fn what_is_believed_and_cannot_be_read_is_refused() {
    let all = proxies().x_forwarded_for().x_forwarded_proto().x_forwarded_prefix();
    let rows = [
        ("x-forwarded-for", "not-an-address"),
        ("x-forwarded-for", "203.0.113.5,"),
        ("x-forwarded-for", ""),
        ("x-forwarded-for", "203.0.113.5:99999"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-prefix", "shop"),
        ("x-forwarded-prefix", "//evil"),
        ("x-forwarded-prefix", "/a?b"),
        ("x-forwarded-prefix", "/a, /b"),
    ];
    for header in rows {
        assert_eq!(seen(&all, NEAR, &[header]), "400", "{header:?}");
        assert_eq!(seen(&all, "192.0.2.8:9", &[header]), "192.0.2.8 9 http ", "{header:?}");
    }
    for value in
        ["for", "for=\"203.0.113.5", "for=[::1", "proto=x", "for=a b", "for=1.2.3.4 proto=http", ", for=1.2.3.4"]
    {
        assert_eq!(seen(&proxies().forwarded(), NEAR, &[("forwarded", value)]), "400", "{value}");
    }
    let error = TrustedProxies::new(["10.0.0.0/33"]).unwrap_err();
    assert!(error.to_string().contains("\"10.0.0.0/33\""), "{error}");
}

/// SEC-05: the layer goes around a router, and leaves the peer to those who want it.
#[tokio::test]
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
