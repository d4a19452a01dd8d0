//! Request bodies: streamed or spooled, as a form with files, and always within a limit.
//!
//! ```sh
//! head -c 50M /dev/zero > zeros; cargo run --release --example upload
//! curl -T zeros http://127.0.0.1:8000/streamed                     # 52428800 bytes, CRC 0e9b9b34 (52428800 declared)
//! curl -T - http://127.0.0.1:8000/streamed < zeros                 # 52428800 bytes, CRC 0e9b9b34 (no length declared)
//! curl -T - http://127.0.0.1:8000/spooled < zeros                  # 52428800 bytes, CRC 0e9b9b34 (52428800 declared)
//! curl -F name=zeros -F file=@zeros http://127.0.0.1:8000/form     # name: 5 bytes, …, file: 52428800 bytes, …
//! curl -d $'a\nlonger\nb' http://127.0.0.1:8000/lines              # 3 lines, the longest has 6 bytes
//! curl -d "$(seq 20000)" http://127.0.0.1:8000/lines               # 413, "Payload Too Large: …"
//! curl -T zeros --limit-rate 5M http://127.0.0.1:8000/streamed & sleep 1; curl http://127.0.0.1:8000/pool    # "busy 1"
//! curl -T zeros --limit-rate 5M http://127.0.0.1:8000/spooled & sleep 1; curl http://127.0.0.1:8000/pool     # "busy 0"
//! ```
//!
//! A slow client occupies a thread while its body streams, and only a file while its body is spooled. Memory stays
//! constant, whatever the size of the body.

use std::io::{self, BufRead as _, Read};

use axum::Router;
use axum::routing::{post, put};
use flate2::CrcReader;
use gateway::{Input, Multipart, Pool, Spool, StatusPage};

#[tokio::main]
async fn main() -> io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(&pool)?).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> io::Result<Router> {
    // For all bodies of the mount together; if the spool is full, a body gets 503.
    let spool = Spool::builder().total(4 << 30).build()?;
    let (small, large) = (pool.gateway().body_limit(64 << 10), pool.gateway().body_limit(1 << 30));
    Ok(Router::new()
        .route("/lines", post(small.handler(lines)))
        .route("/form", post(large.handler(form)))
        .route("/streamed", put(large.handler(file)))
        .route("/spooled", put(large.spool(&spool).handler(file)))
        .route_service("/pool", StatusPage::new().pool(pool)))
}

fn file(input: Input) -> gateway::Result<String> {
    let declared = input.length().map_or("no length".to_owned(), |length| length.to_string());
    Ok(format!("{} ({declared} declared)\n", checksum(input)?))
}

fn form(mut form: Multipart) -> gateway::Result<String> {
    let mut report = String::new();
    while let Some(mut field) = form.next()? {
        let name = field.name().unwrap_or("?").to_owned();
        report += &format!("{name}: {}\n", checksum(&mut field)?);
    }
    Ok(report)
}

/// Every failure to read is an error, so a checksum always covers the whole body.
fn checksum(reader: impl Read) -> io::Result<String> {
    let mut reader = CrcReader::new(reader);
    let bytes = io::copy(&mut reader, &mut io::sink())?;
    Ok(format!("{bytes} bytes, CRC {:08x}", reader.crc().sum()))
}

/// A body that is over the limit, truncated or too slow is a read error, which `?` turns into 413, 400 or 408.
fn lines(input: Input) -> gateway::Result<String> {
    let lengths = input.lines().map(|line| Ok(line?.len())).collect::<io::Result<Vec<_>>>()?;
    Ok(format!("{} lines, the longest has {} bytes\n", lengths.len(), lengths.iter().max().unwrap_or(&0)))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use gateway::testing::{Client, MultipartForm};
    use tower::ServiceExt as _;

    use super::*;

    fn app_under_test() -> Router {
        app(&Pool::builder().threads(1).build().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_spooled_body_has_a_length_though_none_was_declared() {
        for (path, declared) in [("/streamed", "no length"), ("/spooled", "3")] {
            let request = Request::put(path).body(Body::from("abc")).unwrap();
            let response = app_under_test().oneshot(request).await.unwrap();
            let expected = format!("3 bytes, CRC 352441c2 ({declared} declared)\n");
            assert_eq!(to_bytes(response.into_body(), 1000).await.unwrap(), expected);
        }
    }

    #[test]
    fn a_checksum_does_not_depend_on_the_frames_and_covers_the_whole_body() {
        let put = || Client::router(app_under_test()).request("PUT", "/streamed").body("abc");
        assert_eq!(put().body_frames(1).send().text(), "3 bytes, CRC 352441c2 (3 declared)\n");
        assert_eq!(put().cut_body_after(2).send().status(), 400);
    }

    #[test]
    fn each_field_of_a_form_has_a_checksum() {
        let form = MultipartForm::new().text("name", "abc").file("file", "a.txt", "text/plain", "abcd");
        let post = || Client::router(app_under_test()).request("POST", "/form").multipart(form.clone());
        assert_eq!(post().send().text(), "name: 3 bytes, CRC 352441c2\nfile: 4 bytes, CRC ed82cd11\n");
        assert_eq!(post().cut_body_after(180).send().status(), 400);
    }

    #[test]
    fn lines_are_counted_up_to_the_limit() {
        let client = Client::router(app_under_test());
        assert_eq!(client.post("/lines", "a\nlonger\nb").text(), "3 lines, the longest has 6 bytes\n");
        assert_eq!(client.post("/lines", "x".repeat((64 << 10) + 1)).status(), 413);
    }
}
