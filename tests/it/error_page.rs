//! Error pages: the gateway's own answers, with a body that the program sets.

use gateway::testing::{Client, Inline};
use gateway::{Chunks, Gateway, application_fn};
use gateway_tests::capture_log;
use http::{HeaderName, HeaderValue, header};

fn failing() -> Gateway {
    Gateway::new(application_fn(|_, _| Err(gateway::Error::new("secret")))).executor(Inline::new())
}

/// ERR-08, ERR-06, ERR-07: the page provides the body, for failures and for refusals; the gateway sets the status and
/// the length.
#[test]
fn a_mount_may_have_an_error_page_of_its_own() {
    let gateway = failing().body_limit(1).error_page(|status, headers| {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("9999"));
        format!("{{\"status\": {}}}", status.as_u16()).into()
    });
    let client = Client::of(gateway);
    for (response, status) in [(client.get("/"), 500), (client.post("/", "too long"), 413)] {
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["content-length"], "15");
        assert_eq!(response.text(), format!("{{\"status\": {status}}}"));
    }
    let head = client.request("HEAD", "/").send();
    assert_eq!((head.chunks().len(), &head.headers()["content-length"]), (0, &HeaderValue::from_static("15")));
}

/// ERR-11: the plain page replaces one that panics or sets a forbidden header.
#[test]
fn a_broken_error_page_is_replaced_by_the_plain_one() {
    let panicking = failing().error_page(|_, _| panic!("in the page"));
    let forbidden = failing().error_page(|_, headers| {
        headers.insert(HeaderName::from_static("upgrade"), HeaderValue::from_static("x"));
        "never sent".into()
    });
    for gateway in [panicking, forbidden] {
        let (response, log) = capture_log(|| Client::of(gateway).get("/"));
        assert_eq!((response.status().as_u16(), response.text().as_str()), (500, "Internal Server Error\n"));
        assert_eq!(response.headers().get("upgrade"), None);
        assert_eq!(log.len(), 2, "{log:?}");
    }
}

/// ERR-08: the page does not replace the application's own error responses.
#[test]
fn what_the_application_answers_is_left_alone() {
    let app = application_fn(|_, start_response| {
        start_response("500 Mine", &[])?;
        Ok(Chunks::new(["mine"]))
    });
    let gateway = Gateway::new(app).executor(Inline::new()).error_page(|_, _| "the page".into());
    assert_eq!(Client::of(gateway).get("/").text(), "mine");
}
