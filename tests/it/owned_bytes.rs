//! Bytes whose owner has a destructor that panics: the panic is caught, wherever the bytes are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use bytes::Bytes;
use gateway::{Application, Chunks, Environ, Gateway, Pool, StartResponse, http_fn};
use gateway_tests::{Flavour, Stoppable, block_on, http2, until};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::ext::ReasonPhrase;

/// The owner of some bytes. It counts its drops.
struct PanickingOwner {
    text: &'static str,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for PanickingOwner {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for PanickingOwner {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        panic!("in the destructor of an owner");
    }
}

/// Creates owners, and counts the remaining owners.
#[derive(Clone, Default)]
struct Owners {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Owners {
    fn own(&self, text: &'static str) -> Bytes {
        self.made.fetch_add(1, Ordering::SeqCst);
        Bytes::from_owner(PanickingOwner { text, dropped: Arc::clone(&self.dropped) })
    }

    fn value(&self, text: &'static str) -> HeaderValue {
        HeaderValue::from_maybe_shared(self.own(text)).unwrap()
    }

    /// Some owners are dropped shortly after the answer.
    fn are_all_dropped_once(&self) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        until("all owners are dropped", || count(&self.dropped) >= count(&self.made));
        assert_eq!(count(&self.dropped), count(&self.made));
    }
}

/// Each path of bytes from an application to the runtime.
struct SendsOwned(Owners);

impl Application for SendsOwned {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        let Self(owners) = self;
        // The owners are created one at a time: if the application dropped a list with two of them, the double panic
        // would abort the process.
        let two = || ["ab", "cd"].map(|text| move || owners.own(text)).into_iter().map(|make| make());
        let mut headers = HeaderMap::new();
        match environ.path_info() {
            "/whole" => {
                start_response("200 OK", &[])?;
                Ok(Chunks::new([owners.own("abcd")]))
            }
            "/streamed" => {
                start_response("200 OK", &[])?;
                Ok(Chunks::new(two()))
            }
            "/known" => {
                start_response("200 OK", &[])?;
                Ok(Chunks::known(two())?)
            }
            "/written" => {
                let write = start_response("200 OK", &[])?;
                two().try_for_each(|bytes| write.send(bytes))?;
                Ok(Chunks::empty())
            }
            "/changed" => {
                let owners = owners.clone();
                let start_response = start_response.map_write(move |_| Ok(owners.own("ab")));
                let write = start_response("200 OK", &[])?;
                write.send("x")?;
                write.send("y")?;
                Ok(Chunks::empty().wrap(|chunks| chunks))
            }
            // Of unknown type, and so with a destructor of its own: the only chunk is sent ahead of the close.
            "/closing" => {
                start_response("200 OK", &[])?;
                Ok(Chunks::new(std::iter::once("abcd").map(|text| owners.own(text))))
            }
            "/empty" => {
                start_response("200 OK", &[])?;
                Ok(Chunks::new(["", "abcd", ""].into_iter().map(|text| owners.own(text))))
            }
            // The first chunk is held when the second is written.
            "/held" => {
                let write = start_response("200 OK", &[])?;
                let mut chunks = two();
                Ok(Chunks::new(ClaimsToBeDone(move || {
                    let chunk = chunks.next()?;
                    if chunks.len() > 0 { Some(Ok(chunk)) } else { write.send(chunk).err().map(Err) }
                })))
            }
            "/collected" => {
                start_response("200 OK", &[])?;
                let list = Chunks::new(two()).into_iter().collect::<Result<Vec<_>, _>>()?;
                drop(list);
                let mut text = String::new();
                Ok(Chunks::new(two()).wrap(|chunks| {
                    let list: Vec<_> = chunks.filter_map(Result::ok).collect();
                    list.iter().for_each(|bytes| text.push_str(&String::from_utf8_lossy(bytes)));
                    [text]
                }))
            }
            "/too-long" => {
                start_response("200 OK", &[("Content-Length", "2")])?;
                Ok(Chunks::new(two()))
            }
            "/fields" => {
                for name in ["x-one", "x-two"] {
                    headers.insert(HeaderName::from_static(name), owners.value("value"));
                }
                start_response.with(StatusCode::OK, headers)?;
                Ok(Chunks::new(["abcd"]))
            }
            "/refused-fields" => {
                for name in ["connection", "upgrade"] {
                    headers.insert(HeaderName::from_static(name), owners.value("value"));
                }
                start_response.with(StatusCode::OK, headers)?;
                Ok(Chunks::new(["abcd"]))
            }
            "/trailers" => {
                start_response("200 OK", &[])?;
                let names = [HeaderName::from_static("x-one"), HeaderName::from_static("x-two")];
                let fields = names.clone().into_iter().map(|name| (name, owners.value("value")));
                Ok(Chunks::new(two()).with_trailers(names, move || Ok(fields.collect())))
            }
            _ => Err(gateway::Error::new("trouble")),
        }
    }
}

/// An iterator that claims to be exhausted.
struct ClaimsToBeDone<F>(F);

impl<F, T> Iterator for ClaimsToBeDone<F>
where
    F: FnMut() -> Option<T>,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        (self.0)()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(0))
    }
}

/// A reason phrase from the application.
fn reasoned(owners: &Owners) -> impl Application {
    let owners = owners.clone();
    http_fn(move |_| {
        let mut response = Response::new([owners.own("abcd")]);
        response.extensions_mut().insert(ReasonPhrase::try_from(owners.own("Quite Fine")).unwrap());
        Ok::<_, gateway::Error>(response)
    })
}

fn serve(flavour: Flavour, owners: &Owners) -> Stoppable {
    let pool = Pool::builder().threads(1).queue(1000).build().unwrap();
    let page = owners.clone();
    let gateway = Gateway::new(SendsOwned(owners.clone())).pool(&pool).error_page(move |_, headers| {
        headers.insert("x-one", page.value("value"));
        headers.insert("x-two", page.value("value"));
        page.own("sorry")
    });
    let router =
        Router::new().route_service("/reasoned", Gateway::new(reasoned(owners)).pool(&pool)).fallback_service(gateway);
    Stoppable::start(flavour, move |listener| gateway::serve(listener, router).pool(&pool))
}

const ANSWERS: [(&str, u16, &str); 15] = [
    ("/whole", 200, "abcd"),
    ("/streamed", 200, "abcd"),
    ("/known", 200, "abcd"),
    ("/written", 200, "abcd"),
    ("/changed", 200, "abab"),
    ("/closing", 200, "abcd"),
    ("/empty", 200, "abcd"),
    ("/held", 200, "abcd"),
    ("/collected", 200, "abcd"),
    ("/too-long", 200, "ab"),
    ("/fields", 200, "abcd"),
    ("/refused-fields", 500, "sorry"),
    ("/trailers", 200, "abcd"),
    ("/fails", 500, "sorry"),
    ("/reasoned", 200, "abcd"),
];

/// ERR-10: all of them on one connection, which stays open.
#[test]
fn owners_that_panic_when_dropped_cost_neither_a_response_nor_a_connection() {
    for flavour in Flavour::ALL {
        let owners = Owners::default();
        let mut server = serve(flavour, &owners);
        let mut connection = server.connect();
        for (path, status, text) in ANSWERS {
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
            let reply = connection.request(&request);
            assert_eq!((reply.status(), reply.text().as_str()), (status, text), "{path}");
        }
        for (path, status, _) in ANSWERS {
            assert_eq!(connection.request_head(path).status(), status, "HEAD {path}");
        }
        drop(connection);
        assert!(server.report().is_clean());
        owners.are_all_dropped_once();
    }
}

/// ERR-10: on HTTP/2, where all streams share the connection.
#[test]
fn owners_that_panic_when_dropped_cost_no_neighbour() {
    for flavour in Flavour::ALL {
        let owners = Owners::default();
        let mut server = serve(flavour, &owners);
        block_on(async {
            let mut client = http2(server.address()).await;
            for (path, status, text) in ANSWERS {
                let request = Request::get(format!("http://h{path}")).body(Empty::<Bytes>::new()).unwrap();
                let answer = client.send_request(request).await.unwrap();
                assert_eq!(answer.status().as_u16(), status, "{path}");
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), text, "{path}");
            }
        });
        assert!(server.report().is_clean());
        owners.are_all_dropped_once();
    }
}

/// ERR-10: a disconnect drops the response in the middle, with all pending chunks.
#[test]
fn owners_that_panic_when_a_client_has_left_cost_no_thread() {
    for flavour in Flavour::ALL {
        let owners = Owners::default();
        let mut server = serve(flavour, &owners);
        for _ in 0..20 {
            for (path, ..) in ANSWERS {
                drop(server.get(path));
            }
        }
        let reply = server.get("/whole").reply();
        assert_eq!((reply.status(), reply.text().as_str()), (200, "abcd"));
        assert!(server.report().is_clean());
        owners.are_all_dropped_once();
    }
}

/// ERR-10, END-03: the parts of a body are dropped one after the other, so that two panics do not become a double
/// panic.
#[test]
fn chunks_and_trailers_that_both_panic_when_dropped_cost_one_response() {
    let owners = Owners::default();
    let app = owners.clone();
    let client = gateway::testing::Client::new(gateway::application_fn(move |_, start_response| {
        start_response("200 OK", &[])?;
        let (chunk, field) = (app.own("ab"), app.value("value"));
        let chunks = std::iter::from_fn(move || Some(Err::<Bytes, _>(format!("no {} today", chunk.len()))));
        Ok(Chunks::new(chunks).with_trailers([HeaderName::from_static("x-one")], move || {
            Ok(HeaderMap::from_iter([(HeaderName::from_static("x-one"), field)]))
        }))
    }));
    assert_eq!(client.get("/").status(), 500);
    owners.are_all_dropped_once();
}
