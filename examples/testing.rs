//! How to test applications, from a direct call to a request over a socket. Read the tests; they test this server.
//!
//! ```sh
//! cargo test -p gateway-examples --example testing      # eight tests, in a few milliseconds
//! cargo run --release --example testing
//! curl 'http://127.0.0.1:8000/price?count=3'            # 897 cents
//! curl -d $'tea\nmilk' http://127.0.0.1:8000/shout      # TEA, MILK
//! ```

use std::io;

use axum::Router;
use axum::routing::{get, post};
use gateway::{Environ, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    Router::new().route("/price", get(pool.mount(price))).route("/shout", post(pool.mount(shout)))
}

/// The price of this quantity.
#[wsgi_app]
fn price(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let count = environ.query().strip_prefix("count=").and_then(|count| count.parse::<u32>().ok());
    let Some(count) = count else {
        start_response("400 Bad Request", &[("Content-Type", "text/plain")])?;
        return Ok(["how many? ?count=3\n".to_owned()]);
    };
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([format!("{} cents\n", u64::from(count) * 299)])
}

/// Each line of the body in upper case, as the line arrives.
#[wsgi_app]
fn shout(
    environ: &mut Environ,
    start_response: StartResponse<'_>,
) -> gateway::Result<impl Iterator<Item = gateway::Result<Vec<u8>>>> {
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(environ.input().readline_iter().map(|line| Ok(line?.to_ascii_uppercase())))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use gateway::Validator;
    use gateway::testing::{Client, Outcome, with_request};
    use tower::ServiceExt as _;

    use super::*;

    /// The original fn is `run`: its return value has its own type.
    #[test]
    fn a_fn_can_be_called() {
        let request = Client::new(price).request("GET", "/price?count=3");
        let recorded = with_request(request, price::run);
        assert_eq!(recorded.returned.unwrap(), ["897 cents\n"]);
        assert_eq!(recorded.head.unwrap().status(), 200);
    }

    /// Through the real adapter, on the thread of the test: the usual way.
    #[test]
    fn a_client_sees_what_a_client_would() {
        let client = Client::new(price);
        assert_eq!(client.get("/price?count=3").headers()["content-length"], "10");
        assert_eq!(client.get("/price").status(), 400);
    }

    #[test]
    fn chunks_are_kept_apart() {
        let response = Client::new(shout).post("/shout", "tea\nmilk");
        assert_eq!(response.chunks(), ["TEA\n", "MILK"]);
    }

    /// A request can simulate network faults.
    #[test]
    fn half_a_request_and_half_a_response_are_not_whole() {
        let request = || Client::new(shout).request("POST", "/shout").body("tea\nmilk\nbread\n");
        assert_eq!(request().cut_body_after(6).send().outcome(), Outcome::Aborted);
        // Returns when the application has ended: the application has noticed the disconnect.
        assert_eq!(request().disconnect_after(4).send().outcome(), Outcome::Disconnected);
    }

    #[test]
    fn the_answer_of_a_full_pool_is_a_503() {
        assert_eq!(Client::new(price).request("GET", "/price?count=3").queue_full().send().status(), 503);
    }

    /// In tests, a validator reports mistakes that the gateway tolerates.
    #[test]
    fn both_keep_the_whole_contract() {
        assert_eq!(Client::new(Validator::new(price)).get("/price").status(), 400);
        assert_eq!(Client::new(Validator::new(shout)).post("/shout", "tea").text(), "TEA");
    }

    /// With the router: routes, layers and extractors are tested, too.
    #[tokio::test]
    async fn routes_lead_to_applications() {
        let app = app(&Pool::builder().threads(1).build().unwrap());
        let request = Request::post("/shout").body(Body::from("tea")).unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "TEA");
    }

    /// With a network: for the behaviour of a server. The system chooses the port, so that tests do not collide.
    #[tokio::test]
    async fn a_server_answers() {
        let pool = Pool::builder().threads(1).build().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::task::spawn_blocking(move || {
            let mut connection = TcpStream::connect(address)?;
            connection.write_all(b"GET /price?count=1 HTTP/1.1\r\nhost: test.local\r\nconnection: close\r\n\r\n")?;
            io::read_to_string(&mut connection)
        });
        tokio::select! {
            answer = client => assert!(answer.unwrap().unwrap().ends_with("299 cents\n")),
            stopped = gateway::serve(listener, app(&pool)) => panic!("{stopped:?}"),
        }
    }
}
