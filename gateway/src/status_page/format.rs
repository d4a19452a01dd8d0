//! The format that a request asks for.
//!
//! Threads: runtime.

use http::header::ACCEPT;
use http::{HeaderMap, Uri};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Html,
    Json,
}

/// How well a format suits the client.
#[derive(Clone, Copy)]
struct Match {
    quality: f32,
    /// 2 for the type itself, 1 for `text/*`, 0 for `*/*`.
    precision: u8,
    position: usize,
}

impl Format {
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let mut pairs = uri.query().unwrap_or_default().split('&');
        match pairs.find_map(|pair| pair.strip_prefix("format=")) {
            Some("text") => Self::Text,
            Some("html") => Self::Html,
            Some("json") => Self::Json,
            _ => Self::accepted(headers),
        }
    }

    /// The best of the accepted formats (RFC 9110 §12.5.1). A client that accepts none gets text.
    fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        // The last of equals is the maximum: text, if the client has no preference.
        let formats = [Self::Json, Self::Html, Self::Text].into_iter();
        let matches = formats.filter_map(|format| Some((format, format.matched(&ranges)?)));
        let best = matches.filter(|(_, found)| found.quality > 0.0).max_by(|(_, one), (_, other)| {
            let order = one.quality.total_cmp(&other.quality).then(one.precision.cmp(&other.precision));
            order.then(other.position.cmp(&one.position))
        });
        best.map_or(Self::Text, |(format, _)| format)
    }

    /// The most precise range that includes this format.
    fn matched(self, ranges: &[&str]) -> Option<Match> {
        let (kind, _) = self.media_type().split_once('/')?;
        let matches = ranges.iter().enumerate().filter_map(|(position, range)| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next()?;
            let precision = match name.split_once('/')? {
                _ if name.eq_ignore_ascii_case(self.media_type()) => 2,
                ("*", "*") => 0,
                (group, "*") if group.eq_ignore_ascii_case(kind) => 1,
                _ => return None,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let quality = weight.map_or(Some(1.0), |weight| weight.parse().ok())?;
            Some(Match { quality, precision, position })
        });
        matches.reduce(|best, next| if next.precision > best.precision { next } else { best })
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Html => "text/html",
            Self::Json => "application/json",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_chosen_as_the_client_prefers() {
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (query, accept, expected) in [
            ("", "", Format::Text),
            ("", "*/*", Format::Text),
            ("", "text/*", Format::Text),
            ("", firefox, Format::Html),
            ("", "TEXT/HTML;charset=utf-8", Format::Html),
            ("", "application/json", Format::Json),
            ("", "application/json, text/plain, */*", Format::Json),
            ("", "application/*, */*;q=0.1", Format::Json),
            ("", "text/html;q=0.5, application/json;q=0.6", Format::Json),
            ("", "text/html;q=0, */*", Format::Text),
            ("", "text/plain;q=0, text/html;q=0.1, */*;q=0", Format::Html),
            ("", "text/html;q=nan, application/json;q=x", Format::Text),
            ("", "image/png", Format::Text),
            ("?format=json", firefox, Format::Json),
            ("?a=b&format=text", firefox, Format::Text),
            ("?format=html", "*/*", Format::Html),
            ("?format=xml", firefox, Format::Html),
        ] {
            let uri = format!("/status{query}").parse().unwrap();
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Format::of(&uri, &headers), expected, "{query} {accept}");
        }
    }
}
