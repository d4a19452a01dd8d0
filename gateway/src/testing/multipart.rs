//! Forms of several parts.
//!
//! Threads: any.

use bytes::{BufMut as _, Bytes, BytesMut};

/// A form of several parts, as a browser sends it with files, for [`Request::multipart`](super::Request::multipart).
///
/// # Example
///
/// ```
/// use gateway::testing::{Client, MultipartForm};
/// # let app = gateway::application_fn(|environ, start_response| {
/// #     let body = environ.input().read_all()?;
/// #     start_response("200 OK", &[])?;
/// #     Ok(gateway::Chunks::new([body]))
/// # });
///
/// let form = MultipartForm::new()
///     .text("title", "My cat")
///     .part("size", "application/json", r#"{"width": 800}"#)
///     .file("picture", "cat.png", "image/png", &b"\x89PNG"[..]);
/// let response = Client::new(app).request("POST", "/pictures").multipart(form).send();
/// assert!(response.bytes().starts_with(b"--gateway-0\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nMy cat\r\n"));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a form does nothing until it is sent"]
pub struct MultipartForm {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// The header fields, with the empty line.
    head: String,
    content: Bytes,
}

impl MultipartForm {
    /// A form without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field of text.
    pub fn text(self, name: &str, value: impl Into<Bytes>) -> Self {
        self.add(name, "", value.into())
    }

    /// Adds a part with a content type and without a file name.
    pub fn part(self, name: &str, content_type: &str, content: impl Into<Bytes>) -> Self {
        self.add(name, &typed("", content_type), content.into())
    }

    /// Adds a file.
    pub fn file(self, name: &str, file_name: &str, content_type: &str, content: impl Into<Bytes>) -> Self {
        let file_name = format!("; filename=\"{}\"", quoted(file_name));
        self.add(name, &typed(&file_name, content_type), content.into())
    }

    fn add(mut self, name: &str, more: &str, content: Bytes) -> Self {
        let head = format!("Content-Disposition: form-data; name=\"{}\"{more}\r\n\r\n", quoted(name));
        self.parts.push(Part { head, content });
        self
    }

    /// The content type and the body.
    pub(super) fn encode(self) -> (String, Bytes) {
        let is_free = |boundary: &String| {
            let contains = |part: &Part| part.content.windows(boundary.len()).any(|text| text == boundary.as_bytes());
            !self.parts.iter().any(contains)
        };
        let boundary = (0..).map(|number: u32| format!("gateway-{number}")).find(is_free).unwrap_or_default();
        let mut body = BytesMut::new();
        for Part { head, content } in self.parts {
            body.put_slice(format!("--{boundary}\r\n{head}").as_bytes());
            body.put(content);
            body.put_slice(b"\r\n");
        }
        body.put_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body.freeze())
    }
}

/// The rest of a `Content-Disposition`, and the `Content-Type`.
fn typed(more: &str, content_type: &str) -> String {
    format!("{more}\r\nContent-Type: {content_type}")
}

/// A name between quotes, as browsers write it (WHATWG HTML, "multipart form data").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_in_no_part_and_names_end_no_line() {
        let form = MultipartForm::new().text("a\"\r\nb", "--gateway-0").file("f", "x", "text/plain", "gateway-1");
        let (content_type, body) = form.encode();
        assert_eq!(content_type, "multipart/form-data; boundary=gateway-2");
        let expected = "--gateway-2\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab\"\r\n\r\n--gateway-0\r\n\
                        --gateway-2\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\
                        Content-Type: text/plain\r\n\r\ngateway-1\r\n--gateway-2--\r\n";
        assert_eq!(body, expected);
        assert_eq!(MultipartForm::new().encode().1, "--gateway-0--\r\n");
    }
}
