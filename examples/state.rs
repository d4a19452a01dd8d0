//! State: shared by all requests and async routes, and a layer that identifies the client of a request.
//!
//! ```sh
//! cargo run --release --example state
//! curl -X PUT -d https://www.rust-lang.org http://127.0.0.1:8000/to/rust                                     # 401
//! curl -X PUT -d https://www.rust-lang.org http://127.0.0.1:8000/to/rust -H 'Authorization: Bearer sesame'   # 201, for ada
//! curl -i http://127.0.0.1:8000/to/rust                                                                      # 302
//! curl http://127.0.0.1:8000/links                                                                           # from an async handler
//! ```
//!
//! A fn has no state, so this application is a type: several threads call `call` with `&self` at once. State of one
//! request is in its extensions, inserted by axum's `Extension`, or by a middleware as below.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use gateway::{Application, Chunks, Environ, Pool, StartResponse};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    let links = Links::default();
    let shortener = pool.mount(Shortener { links: links.clone() });
    Router::new().nest_service("/to", shortener).layer(from_fn(identify)).route("/links", get(list)).with_state(links)
}

/// The target and the owner of each short name. Clones share the table.
#[derive(Clone, Default)]
struct Links {
    by_name: Arc<RwLock<BTreeMap<String, (String, User)>>>,
}

impl Links {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, (String, User)>> {
        // Each change is one call, so that a panic cannot leave a partial change.
        self.by_name.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, name: &str, target: String, owner: User) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name.to_owned(), (target, owner));
    }
}

/// The client of a request, which [`identify`] inserts into the extensions.
#[derive(Clone)]
struct User(&'static str);

/// Identifies the client before the request takes a thread.
async fn identify(mut request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match token {
        Some(b"Bearer sesame") => drop(request.extensions_mut().insert(User("ada"))),
        None if request.method() == Method::GET => {}
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    }
    next.run(request).await
}

/// All links. The handler is async, because the lock is held only briefly.
async fn list(State(links): State<Links>) -> String {
    links.read().iter().map(|(name, (target, User(owner)))| format!("{name} -> {target} ({owner})\n")).collect()
}

/// `GET /NAME` redirects to the name's target; `PUT /NAME` sets the target.
struct Shortener {
    links: Links,
}

impl Application for Shortener {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        let name = environ.path_info().trim_start_matches('/').to_owned();
        match *environ.method() {
            Method::PUT => {
                let target = String::from_utf8(environ.input().read_all()?).ok();
                let Some(target) = target.filter(|target| target.parse::<Uri>().is_ok()) else {
                    start_response("400 Bad Request", &[("Content-Type", "text/plain")])?;
                    return Ok(Chunks::new(["that is no link\n"]));
                };
                let user =
                    environ.extensions().get::<User>().ok_or_else(|| gateway::Error::new("nobody was identified"))?;
                let answer = format!("{name} is now {target}, for {}\n", user.0);
                self.links.insert(&name, target, user.clone());
                start_response("201 Created", &[("Content-Type", "text/plain")])?;
                Ok(Chunks::new([answer]))
            }
            _ => {
                match self.links.read().get(&name) {
                    Some((target, _)) => start_response("302 Found", &[("Location", target)])?,
                    None => start_response("404 Not Found", &[])?,
                };
                Ok(Chunks::empty())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use gateway::testing::Client;
    use tower::ServiceExt as _;

    use super::*;

    /// The application alone: a test inserts the layer's extension itself.
    #[test]
    fn a_link_belongs_to_the_one_who_made_it() {
        let links = Links::default();
        let client = Client::new(Shortener { links: links.clone() });
        let request = client.request("PUT", "/rust").extension(User("grace")).body("https://www.rust-lang.org");
        assert_eq!(request.send().status(), 201);
        let broken = client.request("PUT", "/rust").extension(User("grace")).body("no\nlink");
        assert_eq!(broken.send().status(), 400);
        assert_eq!(links.read()["rust"].1.0, "grace");
        assert_eq!(client.get("/rust").headers()["location"], "https://www.rust-lang.org");
        assert_eq!(client.get("/python").status(), 404);
    }

    #[tokio::test]
    async fn both_sides_see_the_same_links() {
        let app = app(&Pool::builder().threads(1).build().unwrap());
        let put = || Request::put("/to/rust").header("authorization", "Bearer sesame").body(Body::from("/r")).unwrap();
        assert_eq!(app.clone().oneshot(put()).await.unwrap().status(), 201);
        let listed = app.clone().oneshot(Request::get("/links").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(to_bytes(listed.into_body(), 1000).await.unwrap(), "rust -> /r (ada)\n");
        let anonymous = app.oneshot(Request::put("/to/rust").body(Body::from("/x")).unwrap()).await.unwrap();
        assert_eq!(anonymous.status(), 401);
    }
}
