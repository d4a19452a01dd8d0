//! File downloads that browsers and `curl -C -` can resume.
//!
//! ```sh
//! mkdir -p files && head -c 1G /dev/urandom > files/big.iso
//! cargo run --release --example download -- files
//! curl -O http://127.0.0.1:8000/big.iso                                       # a file of 1 GiB; the server's memory stays as it is
//! head -c 300M files/big.iso > big.iso && curl -O -C - http://127.0.0.1:8000/big.iso && cmp big.iso files/big.iso
//! curl -r 0-3 http://127.0.0.1:8000/big.iso | wc -c                           # 4
//! curl -i -r 2000000000- http://127.0.0.1:8000/big.iso                        # 416
//! curl -i --path-as-is http://127.0.0.1:8000/../Cargo.toml                    # 404
//! ```
//!
//! `FileResponse` answers ranges and conditional requests. A large file frees its pool thread at once, however slowly
//! the client downloads it.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use gateway::{Conditions, FileError, FileResponse, Pool};
use http::header::CONTENT_DISPOSITION;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

#[tokio::main]
async fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "files".into());
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    gateway::serve(listener, app(folder.into(), &pool)).pool(&pool).stop_on_signals()?.await
}

fn app(folder: PathBuf, pool: &Pool) -> Router {
    Router::new().route("/{name}", get(pool.handler(download))).with_state(folder.into())
}

/// A file of the folder, without subfolders.
fn download(
    State(folder): State<Arc<std::path::Path>>,
    Path(name): Path<String>,
    conditions: Conditions,
) -> Result<FileResponse, FileError> {
    let path = folder.join(&name);
    // A plain name cannot leave the folder: no `..`, no subfolder, no hidden file.
    if name.starts_with('.') || path.parent() != Some(&folder) || path.file_name() != Some(OsStr::new(&name)) {
        return Err(FileError::NotFound);
    }
    let disposition = format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
    Ok(FileResponse::open(path)?.header(CONTENT_DISPOSITION, disposition).conditions(conditions))
}

#[cfg(test)]
mod tests {
    use gateway::testing::{Client, Response};

    use super::*;

    /// A client, and its folder of files.
    fn client() -> (Client, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a b.txt"), "0123456789").unwrap();
        std::fs::write(folder.path().join(".hidden"), "secret").unwrap();
        // Within two seconds of a change there could be another one, which the time would not show.
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(10);
        std::fs::File::options().append(true).open(folder.path().join("a b.txt")).unwrap().set_modified(old).unwrap();
        (Client::router(app(folder.path().to_owned(), &Pool::builder().threads(1).build().unwrap())), folder)
    }

    #[test]
    fn a_file_comes_with_its_name_and_length() {
        let (client, _folder) = client();
        let response = client.get("/a%20b.txt");
        assert_eq!(response.text(), "0123456789");
        assert_eq!(response.headers()["content-length"], "10");
        assert_eq!(response.headers()["content-disposition"], "attachment; filename*=UTF-8''a%20b%2Etxt");
    }

    #[test]
    fn a_part_can_be_asked_for() {
        let (client, _folder) = client();
        let get = |range: &str| client.request("GET", "/a%20b.txt").header("range", range).send();
        let seen = |response: Response| (response.status().as_u16(), response.text());
        for (range, status, text) in [
            ("bytes=2-4", 206, "234"),
            ("bytes=8-", 206, "89"),
            ("bytes=-3", 206, "789"),
            ("bytes=5-1000", 206, "56789"),
            ("bytes=10-", 416, ""),
            ("bytes=-0", 416, ""),
            ("bytes=4-2", 200, "0123456789"),
            ("bytes=0-1,4-5", 200, "0123456789"),
            ("lines=1-2", 200, "0123456789"),
        ] {
            assert_eq!(seen(get(range)), (status, text.to_owned()), "{range}");
        }
        assert_eq!(get("bytes=2-4").headers()["content-range"], "bytes 2-4/10");
    }

    #[test]
    fn no_file_is_put_together_of_two() {
        let (client, folder) = client();
        let etag = client.get("/a%20b.txt").headers()["etag"].to_str().unwrap().to_owned();
        let resume =
            || client.request("GET", "/a%20b.txt").header("if-range", &etag).header("range", "bytes=8-").send().text();
        assert_eq!(resume(), "89");
        std::fs::write(folder.path().join("a b.txt"), "another file").unwrap();
        assert_eq!(resume(), "another file");
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let (client, folder) = client();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        let long = format!("/{}", "x".repeat(1000));
        for path in ["/", "/..", "/below", "/below/x", "/../x", "/..%2Fx", "/%2Fetc", "/.hidden", "/%00", &long] {
            assert_eq!(client.get(path).status(), 404, "{path}");
        }
        assert_eq!(client.get("/%FF").status(), 400);
    }
}
