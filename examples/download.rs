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
//! `Chunks::file` sends the rest of a file, or as many bytes as `Content-Length` declares. A large file frees its pool
//! thread at once, however slowly the client downloads it.

use std::fs::File;
use std::io::ErrorKind::{InvalidFilename, InvalidInput, NotFound};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::routing::get_service;
use gateway::{Application, Chunks, Environ, Gateway, Pool, StartResponse};
use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
};
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
    Router::new().route("/{name}", get_service(Gateway::new(Downloads { folder }).pool(pool)))
}

/// The files of one folder, without subfolders.
struct Downloads {
    folder: PathBuf,
}

impl Downloads {
    /// The file that the path names, and its name.
    fn open(&self, environ: &Environ) -> io::Result<Option<(String, File)>> {
        let path = environ.get_bytes("PATH_INFO").unwrap_or_default();
        let Some(name) = std::str::from_utf8(&path).ok().and_then(|path| path.strip_prefix('/')) else {
            return Ok(None);
        };
        // A plain name cannot leave the folder: no `..`, no subfolder, no hidden file.
        if name.starts_with('.') || Path::new(name).file_name() != Some(name.as_ref()) {
            return Ok(None);
        }
        let path = self.folder.join(name);
        // Check the type before opening: `open` on a named pipe would wait for a writer.
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some((name.to_owned(), File::open(path)?))),
            Ok(_) => Ok(None),
            // Errors of the client; all other errors are the server's.
            Err(error) if matches!(error.kind(), NotFound | InvalidInput | InvalidFilename) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Application for Downloads {
    fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> gateway::Result<Chunks<'r>> {
        let Some((name, mut file)) = self.open(environ)? else {
            start_response("404 Not Found", &[("Content-Type", "text/plain")])?;
            return Ok(Chunks::new(["there is no such file\n"]));
        };
        let metadata = file.metadata()?;
        let (length, modified) = (metadata.len(), metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default());
        let etag = format!("\"{:x}-{length:x}\"", modified.as_nanos());
        let disposition = format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
            (CONTENT_DISPOSITION, disposition.try_into()?),
            (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (ETAG, (&etag).try_into()?),
        ]);
        let Some(part) = part(environ, &etag, length) else {
            start_response.with(StatusCode::OK, headers)?;
            return Ok(Chunks::file(file));
        };
        if part.is_empty() {
            start_response("416 Range Not Satisfiable", &[("Content-Range", &format!("bytes */{length}"))])?;
            return Ok(Chunks::empty());
        }
        headers.insert(CONTENT_RANGE, format!("bytes {}-{}/{length}", part.start, part.end - 1).try_into()?);
        headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
        file.seek(SeekFrom::Start(part.start))?;
        start_response.with(StatusCode::PARTIAL_CONTENT, headers)?;
        Ok(Chunks::file(file))
    }
}

/// The requested part of the file, empty if it is outside of the file. `None` is the whole file: also for a header that
/// is invalid, or that requests several parts, as RFC 9110 allows.
fn part(environ: &Environ, etag: &str, length: u64) -> Option<Range<u64>> {
    // The file has changed since the client's first part: send the whole file.
    if environ.get("HTTP_IF_RANGE").is_some_and(|expected| expected != etag) {
        return None;
    }
    let (first, last) = environ.get("HTTP_RANGE")?.strip_prefix("bytes=")?.split_once('-')?;
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first <= last).then(|| first..last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) => last.is_empty().then_some(first..length),
        (Err(_), Ok(count)) => first.is_empty().then(|| length.saturating_sub(count)..length),
        (Err(_), Err(_)) => None,
    }
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
        (Client::new(Downloads { folder: folder.path().to_owned() }), folder)
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
        for path in ["/", "/..", "/below", "/below/x", "/../x", "/..%2Fx", "/%2Fetc", "/.hidden", "/%FF", "/%00", &long]
        {
            assert_eq!(client.get(path).status(), 404, "{path}");
        }
    }
}
