//! Every variable of a request, and how to decode text that clients write.
//!
//! ```sh
//! cargo run --release --example environ
//! curl 'http://127.0.0.1:8000/dump?a=1' -H 'X-Tag: one' -H 'X-Tag: two'    # HTTP_X_TAG = "one,two"
//! curl 'http://127.0.0.1:8000/dump' -H 'X_Tag: three' | grep TAG           # nothing: see below
//! curl 'http://127.0.0.1:8000/greet/J%C3%BCrgen?from=Z%C3%BCrich'          # Hello Jürgen from Zürich, welcome to the example.
//! curl 'http://127.0.0.1:8000/greet/%FF'                                   # 400: a name has to be UTF-8
//! ```
//!
//! Header names with an underscore never become variables: `X_Tag` would be the same variable as `X-Tag`, so a client
//! could set a header that only a proxy may set.

use std::borrow::Cow;

use axum::Router;
use axum::routing::get;
use gateway::{Environ, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> Router {
    Router::new()
        .route("/dump", get(pool.mount(dump)))
        // The mount configures an application by variables.
        .nest_service("/greet", pool.mount(greet).variable("SITE", "the example"))
}

/// All variables: CGI's, the headers as `HTTP_*`, and those of the mount.
#[wsgi_app]
fn dump(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Vec<String>> {
    let mut lines: Vec<String> = environ.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    lines.sort_unstable();
    // Typed values have their own methods.
    lines.push(format!("\nmethod {}, client {:?}\n", environ.method(), environ.remote_ip()));
    start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok(lines)
}

/// Greets the name in the path.
#[wsgi_app]
fn greet(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    // As in every WSGI server, a character of a variable stands for one byte. The client's bytes are UTF-8.
    let path = environ.get_bytes("PATH_INFO").unwrap_or_default();
    let Ok(name) = std::str::from_utf8(&path) else {
        start_response("400 Bad Request", &[("Content-Type", "text/plain")])?;
        return Ok(["a name has to be UTF-8\n".to_owned()]);
    };
    // The query is not decoded, because decoding depends on its format.
    let from = form_urlencoded::parse(environ.query().as_bytes())
        .find_map(|(key, value)| (key == "from").then_some(value))
        .unwrap_or(Cow::Borrowed("somewhere"));
    let name = name.trim_start_matches('/');
    let site = environ.get("SITE").unwrap_or("nowhere");
    start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok([format!("Hello {name} from {from}, welcome to {site}.\n")])
}

#[cfg(test)]
mod tests {
    use gateway::Gateway;
    use gateway::testing::Client;

    use super::*;

    #[test]
    fn headers_are_variables() {
        let request = Client::new(dump).request("GET", "/dump?a=1");
        let text = request.header("x-tag", "one").header("x-tag", "two").header("x_role", "admin").send().text();
        for line in [
            "HTTP_HOST = \"test.local\"\n",
            "HTTP_X_TAG = \"one,two\"\n",
            "QUERY_STRING = \"a=1\"\n",
            "REQUEST_METHOD = \"GET\"\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("ROLE"), "{text}");
    }

    #[test]
    fn names_are_utf_8() {
        let client = Client::of(Gateway::new(greet).variable("SITE", "the test"));
        let greeted = client.get("/J%C3%BCrgen?from=Z%C3%BCrich");
        assert_eq!(greeted.text(), "Hello Jürgen from Zürich, welcome to the test.\n");
        assert_eq!(client.get("/Ada").text(), "Hello Ada from somewhere, welcome to the test.\n");
        assert_eq!(client.get("/%FF").status(), 400);
    }
}
