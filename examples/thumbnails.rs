//! Image thumbnails: CPU-bound work, and a pool that refuses an overload early.
//!
//! ```sh
//! cargo run --release --example thumbnails
//! curl -o small.jpg --data-binary @photo.jpg 'http://127.0.0.1:8000/?200'    # at most 200 pixels wide and high; any JPEG or PNG
//! seq 40 | xargs -P 40 -I{} curl -so /dev/null -w '%{http_code}\n' --data-binary @photo.jpg http://127.0.0.1:8000/ | sort | uniq -c
//! printf '\211PNG\r\n\32\n\0\0\0\rIHDR\0\0u0\0\0u0\10\2\0\0\0\351Eo\355' | curl -i --data-binary @- http://127.0.0.1:8000/
//! ```
//!
//! With a photo of 24 megapixels and two processors, 6 of the 40 requests get 200: two run at once, and four are
//! queued. The other 34 get 503 as soon as they are uploaded, with a `retry-after` that `-i` shows. The last command
//! sends 33 bytes that announce a picture of 30,000 by 30,000 pixels, and gets 413: it would take 2.7 GB.

use std::io::{self, Cursor};

use axum::Router;
use axum::routing::post;
use gateway::{Environ, Pool, Spool, StartResponse, wsgi_app};
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, ImageResult, Limits};

#[tokio::main]
async fn main() -> io::Result<()> {
    // More threads would make each image slower, and no image earlier. A short queue: better a quick 503 than a late
    // response.
    let threads = std::thread::available_parallelism()?.get();
    let pool = Pool::builder().name("thumbnails").threads(threads).queue(2 * threads).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}, with {threads} threads", listener.local_addr()?);
    gateway::serve(listener, app(&pool)?).pool(&pool).stop_on_signals()?.await
}

fn app(pool: &Pool) -> io::Result<Router> {
    // The few threads must not wait for an upload: the spool reads the whole upload before the request takes a thread.
    let spool = Spool::builder().memory(1 << 20).total(1 << 30).build()?;
    Ok(Router::new().route("/", post(pool.mount(thumbnail).body_limit(16 << 20).spool(&spool))))
}

/// The image in the body, within the query's width and height, and in the same format.
#[wsgi_app]
fn thumbnail(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[Vec<u8>; 1]> {
    let side = environ.query().parse().unwrap_or(256).clamp(1, 1024);
    let upload = environ.input().read_bytes()?;
    let (status, kind, body) = match scaled(&upload, side) {
        Ok((kind, image)) => ("200 OK", kind, image),
        Err(error) => {
            let status = match error {
                ImageError::Limits(_) => "413 Content Too Large",
                ImageError::Unsupported(_) => "415 Unsupported Media Type",
                // The only I/O is the upload, which has ended too early.
                ImageError::Decoding(_) | ImageError::IoError(_) => "422 Unprocessable Content",
                error => return Err(error.into()),
            };
            (status, "text/plain; charset=utf-8", format!("{error}\n").into_bytes())
        }
    };
    start_response(status, &[("Content-Type", kind)])?;
    Ok([body])
}

/// The thumbnail, and its media type.
fn scaled(upload: &[u8], side: u32) -> ImageResult<(&'static str, Vec<u8>)> {
    let format = image::guess_format(upload)?;
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    // A few bytes can announce a picture that fills the memory. The decoder computes the size before it decodes.
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(10_000);
    limits.max_image_height = Some(10_000);
    limits.max_alloc = Some(128 << 20);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let image = DynamicImage::from_decoder(decoder)?;
    // A small image stays as it is.
    let side = side.min(image.width().max(image.height()));
    let mut small = image.thumbnail(side, side);
    small.apply_orientation(orientation);
    let mut bytes = Vec::new();
    small.write_to(&mut Cursor::new(&mut bytes), format)?;
    Ok((format.to_mime_type(), bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use axum::body::Body;
    use axum::http::Request;
    use gateway::testing::Client;
    use gateway::{Chunks, Gateway, application_fn};
    use image::{ImageFormat, RgbImage};
    use tower::ServiceExt as _;

    use super::*;

    /// The beginning of a PNG of 9,000 by 9,000 pixels, which would take 243 MB.
    const BOMB: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x23\x28\0\0\x23\x28\x08\x02\0\0\0\xe2\xb7\xe5\xed\0\0\0\0IDAT\x35\xaf\x06\x1e";

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        RgbImage::new(width, height).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    #[test]
    fn a_thumbnail_fits_and_keeps_its_shape_and_format() {
        for (format, kind) in [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg")] {
            let response = Client::new(thumbnail).post("/?100", picture(640, 320, format));
            assert_eq!(response.headers()["content-type"], kind);
            let image = image::load_from_memory_with_format(&response.bytes(), format).unwrap();
            assert_eq!((image.width(), image.height()), (100, 50));
        }
    }

    #[test]
    fn what_is_no_image_or_too_much_of_one_is_refused() {
        let mut half = picture(640, 320, ImageFormat::Png);
        half.truncate(half.len() / 2);
        let wide = picture(10_001, 1, ImageFormat::Png);
        for (upload, status) in
            [(BOMB.to_vec(), 413), (wide, 413), (b"text".to_vec(), 415), (Vec::new(), 415), (half, 422)]
        {
            let response = Client::new(thumbnail).post("/", upload);
            assert_eq!(response.status(), status, "{}", response.text());
        }
    }

    #[tokio::test]
    async fn more_than_the_line_holds_is_turned_away() {
        let pool = Pool::builder().threads(1).queue(0).build().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let holder = Gateway::new(application_fn(move |_, start_response| {
            // Blocks until the sender is dropped.
            let _ = released.lock().unwrap().recv();
            start_response("200 OK", &[])?;
            Ok(Chunks::empty())
        }));
        let held = tokio::spawn(holder.pool(&pool).oneshot(Request::new(Body::empty())));
        while pool.stats().busy == 0 {
            tokio::task::yield_now().await;
        }
        let response = app(&pool).unwrap().oneshot(Request::post("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        drop(release);
        assert_eq!(held.await.unwrap().unwrap().status(), 200);
    }
}
