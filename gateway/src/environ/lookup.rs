//! Looking variables up, and listing them.
//!
//! There is one order of precedence: a key that the application has set or hidden, then a key of the mount, then the
//! request's own.
//!
//! Threads: any.

use std::borrow::Cow;

use http::{HeaderName, header};

use crate::environ::tls::Tls;
use crate::environ::variables::VARIABLES;
use crate::environ::{Environ, headers};
use crate::latin1;

/// The key of a listed variable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'e> {
    /// The index in [`VARIABLES`].
    Table(usize),
    /// The header of the variable.
    Header(&'e HeaderName),
    Other(&'e str),
}

impl<'e> Key<'e> {
    fn text(self) -> Cow<'e, str> {
        match self {
            Self::Table(index) => Cow::Borrowed(VARIABLES[index].name),
            Self::Header(name) => Cow::Owned(headers::key(name)),
            Self::Other(key) => Cow::Borrowed(key),
        }
    }

    fn is(self, text: &str) -> bool {
        match self {
            Self::Table(index) => VARIABLES[index].name == text,
            Self::Header(name) => headers::is_key_of(text, name),
            Self::Other(key) => key == text,
        }
    }
}

impl Environ {
    /// The value of a variable, as native text: `/café` is `/cafÃ©` here, and UTF-8 in [`path`](Environ::path). `None`
    /// if the request does not have it. Keys are case-sensitive.
    ///
    /// A key that the application has [inserted](Environ::insert) or [removed](Environ::remove) takes precedence, then
    /// a [variable of the mount](crate::Gateway::variable), then the request's own.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some(own) = self.own(key) {
            return own;
        }
        self.mount.settings().variable(key).or_else(|| self.of_request(key))
    }

    /// [`get`](Environ::get) as bytes: the bytes on the wire, before decoding. Values that the application has
    /// [inserted](Environ::insert) beyond native text are UTF-8.
    pub fn get_bytes(&self, key: &str) -> Option<Cow<'_, [u8]>> {
        let text = self.get(key)?;
        Some(latin1::encode(text).unwrap_or(Cow::Borrowed(text.as_bytes())))
    }

    /// All variables that are present, each once: those with a fixed name, the facts of TLS, the headers, those of the
    /// mount, the inserted keys.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        self.entries().map(|(key, value)| (key.text(), value))
    }

    /// [`iter`](Environ::iter) without a string for each key.
    fn entries(&self) -> impl Iterator<Item = (Key<'_>, &str)> {
        let value = self.table();
        let of_table = (0..VARIABLES.len()).filter_map(move |index| Some((Key::Table(index), value(index)?)));
        of_table.chain(self.entries_outside_table())
    }

    /// The value of each of the [`VARIABLES`], by its index. `None` for one that the request does not have, or that the
    /// application or the mount has set or hidden.
    pub(crate) fn table<'e>(&'e self) -> impl Fn(usize) -> Option<&'e str> {
        let is_plain = self.is_plain();
        move |index| {
            if is_plain || !self.is_changed(Key::Table(index)) { (VARIABLES.get(index)?.value)(self) } else { None }
        }
    }

    /// Whether neither the application nor the mount has set or hidden a variable.
    pub(super) fn is_plain(&self) -> bool {
        self.own.is_empty() && self.mount.settings().variables.is_empty()
    }

    /// Whether the application or the mount has set or hidden the variable.
    fn is_changed(&self, key: Key<'_>) -> bool {
        let of_mount = &self.mount.settings().variables;
        self.own.iter().any(|(own, _)| key.is(own)) || of_mount.iter().any(|(known, _)| key.is(known))
    }

    /// The variables that are not of the [table](Self::table), or not with their value there.
    pub(crate) fn entries_outside_table(&self) -> impl Iterator<Item = (Key<'_>, &str)> {
        let of_mount = &self.mount.settings().variables;
        let of_request = self
            .keys_outside_table()
            .filter(|key| !self.is_changed(*key))
            .filter_map(|key| Some((key, self.listed(key)?)));
        let of_mount = of_mount.iter().filter(|(key, _)| self.own(key).is_none());
        let of_mount = of_mount.map(|(key, value)| (Key::Other(key), value.as_str()));
        let own = self.own.iter().filter_map(|(key, value)| Some((Key::Other(key), value.as_deref()?)));
        of_request.chain(of_mount).chain(own)
    }

    /// The keys that the request may have, but those of the table.
    fn keys_outside_table(&self) -> impl Iterator<Item = Key<'_>> {
        let tls = self.tls().into_iter().flat_map(Tls::iter).map(|(key, _)| Key::Other(key));
        // The host is in the table.
        let fields =
            self.parts.headers.keys().filter(|name| **name != header::HOST && headers::is_visible(name.as_str()));
        tls.chain(fields.map(Key::Header))
    }

    /// The value of one of these keys in the request.
    fn listed(&self, key: Key<'_>) -> Option<&str> {
        match key {
            Key::Table(index) => (VARIABLES[index].value)(self),
            Key::Header(name) => self.header(name),
            Key::Other(key) => self.tls()?.get(key),
        }
    }

    /// A variable that is a header or a fact of TLS.
    pub(super) fn outside_table(&self, key: &str) -> Option<&str> {
        match key.strip_prefix("HTTP_") {
            Some(key) => headers::with_header_name(key, |name| self.header(name)),
            None => self.tls()?.get(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;
    use crate::environ::variables::Presence;
    use crate::testing::{Client, Inline, Request, with_request};
    use crate::{Chunks, Gateway, LocalAddr, Tls, application_fn};

    fn gateway() -> Gateway {
        Gateway::new(application_fn(|_, _| Ok(Chunks::empty()))).executor(Inline::new())
    }

    /// A request that has every variable, and headers that have none.
    fn with_everything(gateway: Gateway) -> Request {
        let peer: SocketAddr = "192.0.2.1:1234".parse().unwrap();
        let mut request = Client::of(gateway)
            .request("POST", "/caf%C3%A9?q")
            .extension(ConnectInfo(peer))
            .extension(LocalAddr::Tcp(peer))
            .extension(Tls::new().with("SSL_PROTOCOL", "TLSv1.3").with("SSL_CLIENT_S_DN", "CN=\u{e9}"))
            .body("abc");
        for (name, value) in [
            ("content-type", "text/plain"),
            ("x-y", "caf\u{e9}"),
            ("x-y", "b"),
            ("x_y", "hidden"),
            ("proxy", "hidden"),
            ("x.y", "dot"),
            ("path-info", "header"),
            ("https", "header"),
        ] {
            request = request.header(name, value);
        }
        request
    }

    /// Checks that listing and lookup agree, and returns the keys.
    fn listed(environ: &Environ) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for (key, value) in environ.iter() {
            assert_eq!(environ.get(&key), Some(value), "{key}");
            assert!(keys.insert(key.clone().into_owned()), "{key} is listed twice");
        }
        for key in VARIABLES.iter().map(|variable| variable.name) {
            assert_eq!(environ.get(key).is_some(), keys.contains(key), "{key}");
        }
        keys
    }

    /// ENV-44.
    #[test]
    fn every_variable_of_the_table_is_found_and_listed() {
        with_request(with_everything(gateway()), |environ, _| {
            let keys = listed(environ);
            let others = ["HTTP_HTTPS", "HTTP_PATH_INFO", "HTTP_X.Y", "HTTP_X_Y", "SSL_CLIENT_S_DN", "SSL_PROTOCOL"];
            let expected = VARIABLES.iter().map(|variable| variable.name).chain(others);
            assert_eq!(keys, expected.map(str::to_owned).collect());
            assert_eq!(environ.get("HTTP_X_Y"), Some("caf\u{c3}\u{a9},b"));
        });
    }

    /// ENV-44.
    #[test]
    fn a_variable_that_is_always_present_is_present_in_a_minimal_request() {
        with_request(Client::of(gateway()).request("GET", "/"), |environ, _| {
            for variable in VARIABLES.iter().filter(|variable| variable.presence == Presence::Always) {
                assert!(environ.get(variable.name).is_some(), "{}", variable.name);
            }
        });
    }

    /// ENV-37, ENV-44: the application's keys win over those of the mount, and those over the request's.
    #[test]
    fn every_key_can_be_changed_and_listing_agrees_with_lookup() {
        let keys = with_request(with_everything(gateway()), |environ, _| listed(environ)).returned;
        for key in &keys {
            let is_free = !key.starts_with("wsgi.")
                && !key.starts_with("gateway.")
                && !matches!(key.as_str(), "SCRIPT_NAME" | "PATH_INFO");
            let mount = if is_free { gateway().variable(key, "mount") } else { gateway() };
            with_request(with_everything(mount), |environ, _| {
                if is_free {
                    assert_eq!(environ.get(key), Some("mount"));
                }
                assert_eq!(listed(environ), keys, "{key} is the mount's");
                environ.insert(key, "own");
                assert_eq!(environ.get(key), Some("own"));
                assert_eq!(listed(environ), keys, "{key} is the application's");
                environ.remove(key);
                let mut left = keys.clone();
                left.remove(key);
                assert_eq!(listed(environ), left, "{key} is hidden");
            });
        }
    }
}
