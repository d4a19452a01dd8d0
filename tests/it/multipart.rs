//! Forms with files.

use std::io::{self, Read as _};

use axum::Router;
use axum::routing::post;
use gateway::testing::{Client, Response};
use gateway::{Application, Chunks, Environ, Field, Multipart, MultipartError, StartResponse, application_fn};
use gateway_tests::{Gate, Server, capture_log};

const TYPE: &str = "multipart/form-data; boundary=XX";

fn part(head: &str, content: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

fn end(parts: &[String]) -> String {
    format!("{}--XX--\r\n", parts.concat())
}

/// An application that reads the form, and answers with the result of `read` for each field.
fn reads(
    limits: impl Fn(Multipart) -> Multipart + Send + Sync + 'static,
    read: impl Fn(&mut Field<'_>) -> gateway::Result<String> + Send + Sync + 'static,
) -> impl Application {
    application_fn(move |environ: &mut Environ, start_response: StartResponse<'_>| {
        let mut form = limits(environ.multipart()?);
        let mut said = String::new();
        while let Some(mut field) = form.next()? {
            said += &read(&mut field)?;
            said.push(';');
        }
        start_response("200 OK", &[])?;
        Ok(Chunks::new([said]))
    })
}

fn text(field: &mut Field<'_>) -> gateway::Result<String> {
    let name = field.name().unwrap_or("?").to_owned();
    Ok(format!("{name}={}", field.text(100)?))
}

fn send(app: impl Application, content_type: &str, body: impl Into<bytes::Bytes>) -> Response {
    let (response, log) =
        capture_log(|| Client::new(app).request("POST", "/").header("content-type", content_type).body(body).send());
    assert!(log.is_empty(), "{log:?}");
    response
}

#[test]
fn a_form_is_read_field_by_field() {
    let body = end(&[
        part("name=\"a\"", "1"),
        part("name=\"f\"; filename=\"x.txt\"\r\nContent-Type: text/plain", "lines\r\n--X\r\n"),
        part("name=\"empty\"", ""),
    ]);
    let app = || {
        reads(
            |form| form,
            |field| {
                let kind = field.content_type().unwrap_or("-").to_owned();
                let file = field.file_name().unwrap_or("-").to_owned();
                Ok(format!("{}|{file}|{kind}", text(field)?))
            },
        )
    };
    assert_eq!(send(app(), TYPE, body.clone()).text(), "a=1|-|-;f=lines\r\n--X\r\n|x.txt|text/plain;empty=|-|-;");
    // The network may split the body anywhere.
    let client = Client::new(app());
    let cut = client.request("POST", "/").header("content-type", TYPE).body(body).body_frames(1).send();
    assert_eq!(cut.text(), "a=1|-|-;f=lines\r\n--X\r\n|x.txt|text/plain;empty=|-|-;");
    assert_eq!(send(app(), TYPE, end(&[])).text(), "");
}

/// The unread part of a field is skipped.
#[test]
fn an_unread_field_is_skipped() {
    let body = end(&[part("name=a", &"x".repeat(200_000)), part("name=b", "2"), part("name=c", "3")]);
    let app = reads(
        |form| form,
        |field| {
            let mut first = [0];
            field.read_exact(&mut first)?;
            Ok(format!("{}{}", field.name().unwrap_or("?"), first[0]))
        },
    );
    assert_eq!(send(app, TYPE, body).text(), "a120;b50;c51;");
}

/// The client is told what is wrong with its form.
#[test]
fn the_answer_to_a_malformed_form_names_the_fault() {
    let cases = [
        (send(reads(|form| form, text), TYPE, "garbage".to_owned()), 400, "the request body is not a complete form: "),
        (
            send(reads(|form| form, text), TYPE, format!("--XX\r\n\r\nfoo\r\n{}", end(&[part("name=a", "1")]))),
            400,
            "is not a complete form: a field has no headers\n",
        ),
        (
            send(reads(|form| form, text), TYPE, format!("x{0}{0}", end(&[part("name=a", "1")]))),
            400,
            "is not a complete form: its boundary is within a line before the first field\n",
        ),
        (send(reads(|form| form, text), "multipart/form-data", String::new()), 400, "has no valid boundary\n"),
        (send(reads(|form| form, text), "text/plain", String::new()), 415, "is not multipart/form-data\n"),
    ];
    for (response, status, reason) in cases {
        assert_eq!(response.status(), status, "{reason}");
        assert!(response.text().contains(reason), "{}", response.text());
    }
}

/// An incomplete or malformed form is an error of the client, and never looks complete.
#[test]
fn a_form_that_is_cut_is_an_error() {
    let whole = end(&[part("name=a", "1"), part("name=b", "2")]);
    let closed = whole.len() - "--\r\n".len();
    for length in 0..closed {
        assert_eq!(send(reads(|form| form, text), TYPE, whole[..length].to_owned()).status(), 400, "{length}");
    }
    let client = Client::new(reads(|form| form, text));
    for bytes in [0, 30, whole.len() - 1] {
        let request = client.request("POST", "/").header("content-type", TYPE).body(whole.clone());
        assert_eq!(request.cut_body_after(bytes).send().status(), 400, "{bytes}");
    }
    // The headers of a field end.
    let endless = format!("--XX\r\nContent-Disposition: form-data; name=a; x={}", "x".repeat(1_000_000));
    assert_eq!(send(reads(|form| form, text), TYPE, endless).status(), 400);
    // After an error, all calls return errors.
    let app = application_fn(|environ: &mut Environ, _: StartResponse<'_>| {
        let mut form = environ.multipart()?.field_limit(0);
        while let Ok(Some(mut field)) = form.next() {
            assert!(io::copy(&mut field, &mut io::sink()).is_err());
        }
        Err(form.next().unwrap_err().into())
    });
    assert_eq!(send(app, TYPE, whole).status(), 400);
}

/// The parser buffers a small part of the body only: a field is read while it arrives.
#[test]
fn a_field_is_read_before_the_form_has_ended() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let app = reads(
        |form| form,
        move |field| {
            field.read_exact(&mut [0; 1000])?;
            waiter.note("begun");
            Ok(format!("{}", 1000 + io::copy(field, &mut io::sink())?))
        },
    );
    let server = Server::of(gateway::Gateway::new(app).read_ahead(10));
    let body = end(&[part("name=a", &"x".repeat(1_000_000))]);
    let mut connection = server.connect();
    let length = body.len();
    connection.send(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\n\r\n"));
    connection.send(&body[..200_000]);
    assert_eq!(gate.await_call(), "begun");
    connection.send(&body[200_000..]);
    assert_eq!(connection.reply().text(), "1000000;");
}

#[test]
fn a_request_without_a_form_is_refused() {
    for (content_type, status) in [
        ("text/plain", 415),
        ("multipart/mixed; boundary=XX", 415),
        ("nonsense", 415),
        ("multipart/form-data", 400),
        (&*format!("multipart/form-data; boundary={}", "x".repeat(71)), 400),
        ("multipart/form-data; boundary=\"\"", 400),
        ("Multipart/Form-Data ; boundary", 400),
        ("multipart/form-data; boundary=\"XX", 400),
    ] {
        assert_eq!(send(reads(|form| form, text), content_type, end(&[])).status(), status, "{content_type}");
    }
    assert_eq!(Client::new(reads(|form| form, text)).post("/", "").status(), 415);
}

/// Each limit is exact to the byte.
#[test]
fn a_form_beyond_a_limit_is_413() {
    let body = || end(&[part("name=a", "12345"), part("name=b", "12345")]);
    let length = body().len() as u64;
    for (limit, status) in [(5, 200), (4, 413)] {
        assert_eq!(send(reads(move |form| form.field_limit(limit), text), TYPE, body()).status(), status);
        let app = reads(|form| form, move |field| Ok(field.text(usize::try_from(limit)?)?));
        assert_eq!(send(app, TYPE, body()).status(), status);
    }
    for (limit, status) in [(length, 200), (length - 1, 413)] {
        assert_eq!(send(reads(move |form| form.limit(limit), text), TYPE, body()).status(), status);
    }
    // The limit of the mount.
    let server = Server::of(gateway::Gateway::new(reads(|form| form, text)).body_limit(length - 1).read_ahead(10));
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
        body()
    );
    assert_eq!(server.connect().request(&chunked).status(), 413);
}

/// A handler takes the form as its last argument, and streams a large file.
#[test]
fn a_handler_takes_a_form() {
    fn sizes(mut form: Multipart) -> Result<String, MultipartError> {
        let mut sizes = String::new();
        while let Some(mut field) = form.next()? {
            let bytes = io::copy(&mut field, &mut io::sink()).unwrap();
            sizes += &format!("{}={bytes};", field.name().unwrap_or("?"));
        }
        Ok(sizes)
    }
    let pool = gateway::Pool::builder().threads(1).build().unwrap();
    let server = Server::of(Router::new().route("/", post(pool.handler(sizes))));
    let body = end(&[part("name=small", "1"), part("name=large", &"\r\n--X".repeat(1_000_000))]);
    let head = |content_type: &str| {
        format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len())
    };
    let mut connection = server.connect();
    for _ in 0..2 {
        connection.send(&head(TYPE));
        connection.send_bytes(body.as_bytes());
        assert_eq!(connection.reply().text(), "small=1;large=5000000;");
    }
    for (content_type, status) in [("text/plain", 415), ("multipart/form-data", 400)] {
        let mut connection = server.connect();
        let request =
            format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(connection.request(&request).status(), status);
    }
}
