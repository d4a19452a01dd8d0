//! The head of a response: as text that is parsed and validated, and as typed values.

use criterion::{BenchmarkId, Criterion};
use gateway::ResponseHead;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Standard header fields, and fields that an application defines.
const FIELDS: [(&str, &str); 20] = [
    ("content-type", "text/html; charset=utf-8"),
    ("content-length", "1024"),
    ("cache-control", "private, max-age=60"),
    ("etag", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
    ("x-request-id", "f058ebd6-02f7-4d3f-942e-904344e8cde5"),
    ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("vary", "Accept-Encoding, Cookie"),
    ("content-language", "en"),
    ("content-encoding", "gzip"),
    ("expires", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("content-security-policy", "default-src 'self'"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("link", "</style.css>; rel=preload; as=style"),
    ("x-runtime", "0.004213"),
    ("x-served-by", "app-3"),
    ("x-version", "2024.11.3"),
    ("server-timing", "db;dur=53, app;dur=47.2"),
];

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for count in [1, 5, 20] {
        let fields = &FIELDS[..count];
        group.bench_with_input(BenchmarkId::new("text", count), fields, |bencher, fields| {
            bencher.iter(|| ResponseHead::parse("200 OK", fields));
        });
        let typed: Vec<_> = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        group.bench_with_input(BenchmarkId::new("typed", count), &typed, |bencher, typed| {
            bencher.iter(|| ResponseHead::new(StatusCode::OK, typed.iter().cloned().collect::<HeaderMap>()));
        });
    }
}
