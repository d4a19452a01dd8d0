//! The cookies of a client.
//!
//! Threads: any.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, SET_COOKIE};

use crate::sync::{Arc, Mutex, lock};

/// The cookies that responses have set (RFC 6265, for one host). Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct CookieJar {
    cookies: Arc<Mutex<Vec<Cookie>>>,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    /// `None` for a cookie of the session.
    expires: Option<SystemTime>,
}

impl CookieJar {
    /// Stores the cookies of a response to a request for `path`.
    pub(super) fn store(&self, path: &str, headers: &HeaderMap, now: SystemTime) {
        let mut cookies = lock(&self.cookies);
        for field in headers.get_all(SET_COOKIE) {
            let text = std::str::from_utf8(field.as_bytes()).ok();
            if let Some(cookie) = text.and_then(|text| Cookie::parse(text, path, now)) {
                match cookies.iter_mut().find(|known| known.name == cookie.name && known.path == cookie.path) {
                    Some(known) => *known = cookie,
                    None => cookies.push(cookie),
                }
            }
        }
        // An expiry in the past deletes.
        cookies.retain(|cookie| cookie.is_valid(now));
    }

    /// The `Cookie` header of a request for `path`, if there are any: longer paths first.
    pub(super) fn header(&self, path: &str, now: SystemTime) -> Option<String> {
        let cookies = lock(&self.cookies);
        let mut sent: Vec<&Cookie> =
            cookies.iter().filter(|cookie| cookie.is_valid(now) && cookie.is_for(path)).collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        Some(pairs.join("; ")).filter(|header| !header.is_empty())
    }

    /// The value of the cookie with this name that was first set.
    pub(super) fn value(&self, name: &str, now: SystemTime) -> Option<String> {
        let cookies = lock(&self.cookies);
        cookies.iter().find(|cookie| cookie.name == name && cookie.is_valid(now)).map(|cookie| cookie.value.clone())
    }
}

impl Cookie {
    /// A cookie in a `Set-Cookie` field. Without a `Path`, it is for the folder of the request.
    fn parse(field: &str, request_path: &str, now: SystemTime) -> Option<Self> {
        let (pair, attributes) = field.split_once(';').unwrap_or((field, ""));
        let (name, value) = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim()))?;
        let folder = request_path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut path = if folder.is_empty() { "/" } else { folder };
        let (mut expires, mut max_age) = (None, None);
        for attribute in attributes.split(';') {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match (key.trim().to_ascii_lowercase().as_str(), value.trim()) {
                ("path", value) if value.starts_with('/') => path = value,
                ("expires", value) => expires = date(value),
                ("max-age", value) => max_age = value.parse::<i64>().ok(),
                _ => {}
            }
        }
        // `Max-Age` wins. A time beyond the range of the clock is never reached.
        let expires = match max_age {
            Some(seconds) => now.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
            None => expires,
        };
        let owned = |text: &str| text.to_owned();
        Some(Self { name: owned(name), value: owned(value), path: owned(path), expires }).filter(|_| !name.is_empty())
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }

    /// Whether the path of the cookie is that of the request, or a folder above it.
    fn is_for(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'))
    }
}

/// A date of HTTP. Many frameworks write dashes into it: `Thu, 01-Jan-1970 00:00:00 GMT`.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&text.replace('-', " "))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(fields: &[&'static str], now: SystemTime) -> CookieJar {
        let jar = CookieJar::default();
        set(&jar, fields, now);
        jar
    }

    fn set(jar: &CookieJar, fields: &[&'static str], now: SystemTime) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(SET_COOKIE, http::HeaderValue::from_static(field));
        }
        jar.store("/shop/cart", &headers, now);
    }

    #[test]
    fn a_cookie_is_sent_below_its_path() {
        let now = SystemTime::now();
        let jar = jar(&["a=1; Path=/", "b=2", "c=3; path=/shop/cart; Secure", "d=4; Path=relative"], now);
        let rows = [
            ("/", Some("a=1")),
            ("/shop", Some("b=2; d=4; a=1")),
            ("/shopping", Some("a=1")),
            ("/shop/cart/items", Some("c=3; b=2; d=4; a=1")),
        ];
        for (path, expected) in rows {
            assert_eq!(jar.header(path, now).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_cookie_ends_with_its_age() {
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        let jar = jar(
            &["a=1; Path=/; Max-Age=3600", "b=2; Path=/; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "c=3; Path=/"],
            now,
        );
        assert_eq!(jar.header("/", now + hour / 2).as_deref(), Some("a=1; b=2; c=3"));
        assert_eq!(jar.header("/", now + hour).as_deref(), Some("b=2; c=3"));
        assert_eq!((jar.value("a", now), jar.value("a", now + hour)), (Some("1".to_owned()), None));
    }

    #[test]
    fn an_expiry_in_the_past_deletes() {
        let now = SystemTime::now();
        for last in [
            "Max-Age=0",
            "Max-Age=-1",
            "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "expires=Thu, 01-Jan-1970 00:00:00 GMT",
        ] {
            let jar = jar(&["a=1; Path=/", "b=2; Path=/; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], now);
            let field: &'static str = format!("a=; Path=/; {last}").leak();
            set(&jar, &[field], now);
            assert_eq!(jar.header("/", now).as_deref(), Some("b=2"), "{last}");
        }
    }

    #[test]
    fn a_field_that_is_no_cookie_is_skipped_and_a_new_value_replaces_the_old() {
        let now = SystemTime::now();
        let jar = jar(&["", "no pair", "=1", "a=1; Path=/", "a=x=y; Path=/; Max-Age=soon; Expires=never"], now);
        assert_eq!(jar.header("/", now).as_deref(), Some("a=x=y"));
    }
}
