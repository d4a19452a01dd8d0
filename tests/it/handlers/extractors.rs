//! The extractors of axum and axum-extra, as arguments of blocking handlers.

#![expect(deprecated, reason = "axum-extra still has them")]

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{
    self, ConnectInfo, Extension, Form, FromRef, Json, MatchedPath, NestedPath, OriginalUri, Path, Query, RawForm,
    RawPathParams, RawQuery, Request, State, WebSocketUpgrade,
};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum_extra::TypedHeader;
use axum_extra::either::Either;
use axum_extra::extract::cookie::Key;
use axum_extra::extract::{
    self as extra, Cached, CookieJar, Host, JsonDeserializer, OptionalPath, OptionalQuery, PrivateCookieJar, Scheme,
    SignedCookieJar, WithRejection,
};
use axum_extra::headers::UserAgent;
use axum_extra::json_lines::JsonLines;
use axum_extra::protobuf::Protobuf;
use bytes::BytesMut;
use gateway_tests::Server;

use super::pool;

#[derive(Clone)]
struct AppState {
    key: Key,
}

impl FromRef<AppState> for Key {
    fn from_ref(state: &AppState) -> Self {
        state.key.clone()
    }
}

/// The rejection of [`WithRejection`].
#[derive(Debug)]
struct Refused;

impl<T: std::error::Error> From<T> for Refused {
    fn from(_: T) -> Self {
        Self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        StatusCode::BAD_REQUEST.into_response()
    }
}

/// A router with a handler for each extractor, at `/0/{id}`, `/1/{id}` and so on.
macro_rules! routes {
    ($pool:ident, $([$extractor:ty] => $handler:expr;)+) => {{
        let $pool = pool();
        let mut router = Router::<AppState>::new();
        let mut names = Vec::new();
        $(
            router = router.route(&format!("/{}/{{id}}", names.len()), any($handler));
            names.push(stringify!($extractor));
        )+
        (router, names)
    }};
}

/// Extractors of the head, each with one of the body after it.
macro_rules! head {
    ($($extractor:ty),+ $(,)?) => { routes!(pool, $([$extractor] => pool.handler(|_: $extractor, _: Bytes| "");)+) };
}

macro_rules! body {
    ($($extractor:ty),+ $(,)?) => { routes!(pool, $([$extractor] => pool.handler(|_: $extractor| "");)+) };
}

/// Each route extracts or rejects, and has what it needs.
fn check((router, names): (Router<AppState>, Vec<&'static str>)) {
    let layers = router.layer(Extension(7_u8)).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    let server = Server::of(Router::new().nest("/nest", layers.with_state(AppState { key: Key::generate() })));
    for (at, name) in names.iter().enumerate() {
        let request = format!("GET /nest/{at}/1?a=b HTTP/1.1\r\nHost: h\r\n\r\n");
        let status = server.connect().request(&request).status();
        assert!(status == 200 || (400..500).contains(&status), "{name}: {status}");
    }
}

#[test]
fn extractors_of_the_head_are_arguments_of_handlers() {
    check(head![
        (),
        Method,
        Uri,
        Version,
        HeaderMap,
        Extensions,
        Parts,
        State<AppState>,
        Path<i64>,
        Option<Path<i64>>,
        Result<Path<u8>, extract::rejection::PathRejection>,
        RawPathParams,
        Query<Vec<(String, String)>>,
        RawQuery,
        MatchedPath,
        Option<MatchedPath>,
        NestedPath,
        OriginalUri,
        Extension<u8>,
        Option<Extension<u16>>,
        ConnectInfo<SocketAddr>,
        WebSocketUpgrade,
        (Method, Uri),
        CookieJar,
        SignedCookieJar,
        PrivateCookieJar,
        TypedHeader<UserAgent>,
        Option<TypedHeader<UserAgent>>,
        Host,
        Option<Host>,
        Scheme,
        extra::Query<Vec<(String, String)>>,
        OptionalQuery<Vec<(String, String)>>,
        OptionalPath<i64>,
        Cached<Method>,
        WithRejection<Path<i64>, Refused>,
        Either<Path<i64>, Path<String>>,
    ]);
}

#[test]
fn extractors_of_the_body_are_last_arguments_of_handlers() {
    check(body![
        Request,
        Body,
        Bytes,
        BytesMut,
        String,
        Json<Vec<String>>,
        Option<Json<Vec<String>>>,
        Result<Json<Vec<String>>, extract::rejection::JsonRejection>,
        Form<Vec<(String, String)>>,
        RawForm,
        extract::Multipart,
        Option<extract::Multipart>,
        (Method, String),
        JsonDeserializer<Vec<String>>,
        JsonLines<String>,
        extra::Form<Vec<(String, String)>>,
        extra::Multipart,
        Protobuf<()>,
        WithRejection<Json<Vec<String>>, Refused>,
        gateway::Input,
        gateway::Multipart,
    ]);
}
