//! The CGI variables, computed on demand.
//!
//! Threads: any.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

#[cfg(feature = "python")]
use http::HeaderName;
use http::{Version, header};

use crate::environ::Environ;
use crate::environ::script_name;
use crate::environ::script_name::Split;
use crate::environ::tls::Tls;
use crate::environ::{headers, host, target};
use crate::latin1;

/// Values that need an allocation, stored so that [`Environ::get`] can lend them.
#[derive(Default)]
pub(super) struct Computed {
    request_id: OnceCell<String>,
    script_name: OnceCell<String>,
    path_info: OnceCell<String>,
    query: OnceCell<String>,
    request_uri: OnceCell<String>,
    content_type: OnceCell<String>,
    host: OnceCell<String>,
    server_name: OnceCell<String>,
    server_port: OnceCell<String>,
    remote_addr: OnceCell<String>,
    remote_port: OnceCell<String>,
    /// One slot for each header name, in the order of the map.
    headers: OnceCell<Box<[OnceCell<String>]>>,
}

/// The variables that are not simply the header of the same name, in the order of [`Environ::iter`].
pub(crate) const VARIABLES: [&str; 19] = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "GATEWAY_INTERFACE",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REQUEST_URI",
    "RAW_URI",
    "HTTPS",
    "wsgi.url_scheme",
    "gateway.request_id",
    // The host may be in the target alone, as on HTTP/2.
    "HTTP_HOST",
];

/// A variable, by its source.
#[cfg(feature = "python")]
pub(crate) enum Variable<'e> {
    /// The index in [`VARIABLES`].
    Fixed(usize),
    /// The header of the variable.
    Header(&'e HeaderName),
    Other(&'e str),
}

impl Environ {
    /// The value of a variable; `None` if the request does not have it. Keys are case-sensitive.
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

    /// A variable that the application has not changed.
    fn of_request(&self, key: &str) -> Option<&str> {
        match key {
            "REQUEST_METHOD" => Some(self.parts.method.as_str()),
            "SCRIPT_NAME" => Some(match self.split() {
                (["", script, ""], _) => latin1::lend_decoded(script, || &self.computed().script_name),
                (parts, _) => self.computed().script_name.get_or_init(|| parts.map(latin1::decode_percent).concat()),
            }),
            "PATH_INFO" => Some(match self.split().1 {
                // `OPTIONS *` is about the server, not about a path.
                "*" => "",
                info => latin1::lend_decoded(info, || &self.computed().path_info),
            }),
            "QUERY_STRING" => {
                Some(latin1::lend(self.parts.uri.query().unwrap_or_default().as_bytes(), || &self.computed().query))
            }
            "CONTENT_TYPE" => {
                let value = self.parts.headers.get(header::CONTENT_TYPE)?;
                Some(latin1::lend(value.as_bytes().trim_ascii(), || &self.computed().content_type))
            }
            "CONTENT_LENGTH" => {
                self.content_length()?;
                self.parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()
            }
            "SERVER_NAME" => Some(self.server_name()),
            "SERVER_PORT" => Some(self.server_port()),
            "SERVER_PROTOCOL" => Some(match self.parts.version {
                Version::HTTP_09 => "HTTP/0.9",
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2.0",
                Version::HTTP_3 => "HTTP/3.0",
                _ => "HTTP/1.1",
            }),
            "SERVER_SOFTWARE" => Some(concat!("gateway/", env!("CARGO_PKG_VERSION"))),
            "GATEWAY_INTERFACE" => Some("CGI/1.1"),
            "REMOTE_ADDR" => {
                let address = self.remote_ip()?;
                Some(self.computed().remote_addr.get_or_init(|| address.to_string()))
            }
            "REMOTE_PORT" => {
                // The port and the address must belong to the same client.
                let port = match self.forwarded().filter(|forwarded| forwarded.client.is_some()) {
                    Some(forwarded) => forwarded.port?,
                    None => self.remote_addr()?.port(),
                };
                Some(self.computed().remote_port.get_or_init(|| port.to_string()))
            }
            "REQUEST_URI" | "RAW_URI" => Some(self.request_uri()),
            "HTTPS" => (self.url_scheme() == "https").then_some("on"),
            "wsgi.url_scheme" => Some(self.url_scheme()),
            "gateway.request_id" => Some(self.request_id()),
            "HTTP_HOST" => self.host(),
            _ if key.starts_with("SSL_") => self.tls()?.get(key),
            _ => self.header(key.strip_prefix("HTTP_")?),
        }
    }

    /// `gateway.request_id`: the id of the request, as in the log.
    pub fn request_id(&self) -> &str {
        self.computed().request_id.get_or_init(|| latin1::decode(self.id.to_string().as_bytes()).into_owned())
    }

    /// All variables that are present, each once: the fixed ones, those of the mount, the headers, the inserted keys.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        let fixed = VARIABLES.into_iter().map(Cow::Borrowed);
        let tls = self.tls().into_iter().flat_map(Tls::iter).map(|(key, _)| Cow::Borrowed(key));
        let others = self.parts.headers.keys().filter(|name| *name != header::HOST);
        let headers = others.filter_map(headers::key).map(Cow::Owned);
        let configured = self.mount.settings().variables.iter().map(|(key, _)| Cow::Borrowed(key.as_str()));
        let own = self.own.iter().map(|(key, _)| Cow::Borrowed(key.as_str()));
        fixed
            .chain(tls)
            .chain(headers)
            .filter(|key| self.mount.settings().variable(key).is_none())
            .chain(configured)
            .filter(|key| !self.own.iter().any(|(own, _)| own == key))
            .chain(own)
            .filter_map(|key| Some((self.get(&key)?, key)))
            .map(|(value, key)| (key, value))
    }

    /// All variables that are present, as in [`iter`](Environ::iter), without a string for each key.
    #[cfg(feature = "python")]
    pub(crate) fn each(&self, mut take: impl FnMut(Variable<'_>, &str)) {
        let settings = self.mount.settings();
        let is_changed = |key: &str| settings.variable(key).is_some() || self.own(key).is_some();
        let all_are_as_they_came = settings.variables.is_empty() && self.own.is_empty();
        for (at, key) in VARIABLES.into_iter().enumerate() {
            if (all_are_as_they_came || !is_changed(key))
                && let Some(value) = self.of_request(key)
            {
                take(Variable::Fixed(at), value);
            }
        }
        for name in self.parts.headers.keys().filter(|name| *name != header::HOST && headers::is_visible(name.as_str()))
        {
            if (all_are_as_they_came || !is_changed(&headers::header_key(name)))
                && let Some(value) = headers::value(&self.parts.headers, name)
            {
                take(Variable::Header(name), &value);
            }
        }
        for (key, value) in self.tls().into_iter().flat_map(Tls::iter).filter(|(key, _)| !is_changed(key)) {
            take(Variable::Other(key), value);
        }
        for (key, value) in settings.variables.iter().filter(|(key, _)| self.own(key).is_none()) {
            take(Variable::Other(key), value);
        }
        for (key, value) in &self.own {
            if let Some(value) = value {
                take(Variable::Other(key), value);
            }
        }
    }

    /// Moves `prefix` from the front of `PATH_INFO` to the end of `SCRIPT_NAME`, if the path is the prefix or below it.
    /// Returns whether it is. For middleware that routes requests to several applications, such as
    /// [`Dispatcher`](crate::Dispatcher).
    ///
    /// The prefix is plain text, such as `/blog`; a trailing slash makes no difference. It is matched by segments:
    /// `/blogroll` is not below it, and neither is `/blog%2Fx`, which is a single segment.
    pub fn shift_path_info(&mut self, prefix: &str) -> bool {
        let prefix = prefix.trim_end_matches('/');
        if prefix.is_empty() {
            return true;
        }
        if self.own("PATH_INFO").is_some() || self.own("SCRIPT_NAME").is_some() {
            return self.shift_own_path(prefix);
        }
        let info = self.split().1;
        let Some((front, _)) = script_name::cut(info, script_name::depth(prefix)) else { return false };
        if !percent_encoding::percent_decode_str(front).eq(prefix.bytes()) {
            return false;
        }
        self.shifted += front.len();
        if let Some(computed) = self.computed.get_mut() {
            computed.script_name.take();
            computed.path_info.take();
        }
        true
    }

    /// The same if middleware has set the variables, which have no encoded form.
    fn shift_own_path(&mut self, prefix: &str) -> bool {
        let prefix = latin1::decode(prefix.as_bytes());
        let Some(rest) = script_name::within(&prefix, self.path_info()) else { return false };
        let (script, rest) = (format!("{}{prefix}", self.script_name()), rest.to_owned());
        self.insert("SCRIPT_NAME", script);
        self.insert("PATH_INFO", rest);
        true
    }

    /// The parts of `SCRIPT_NAME`, and `PATH_INFO`, percent-encoded.
    fn split(&self) -> ([&str; 3], &str) {
        let told = self.forwarded().and_then(|forwarded| forwarded.prefix.as_deref());
        let configured = told.unwrap_or(&self.mount.settings().script_name);
        let Split { proxy, script, info } = script_name::split(&self.parts, configured);
        // A change to the extensions may have shortened the path.
        let (shifted, info) = info.split_at_checked(self.shifted).unwrap_or(("", info));
        ([proxy, script, shifted], info)
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.parts.extensions.get()
    }

    /// Allocated for the first value that needs it; most requests have none.
    fn computed(&self) -> &Computed {
        self.computed.get_or_init(Box::default)
    }

    fn request_uri(&self) -> &str {
        match target::written(&self.parts) {
            Cow::Borrowed(target) => latin1::lend(target.as_bytes(), || &self.computed().request_uri),
            Cow::Owned(target) => {
                self.computed().request_uri.get_or_init(|| latin1::decode(target.as_bytes()).into_owned())
            }
        }
    }

    /// `HTTP_HOST`.
    fn host(&self) -> Option<&str> {
        host::in_target(&self.parts.uri).or_else(|| {
            let value = self.parts.headers.get(header::HOST)?;
            Some(latin1::lend(value.as_bytes().trim_ascii(), || &self.computed().host))
        })
    }

    fn server_name(&self) -> &str {
        self.computed().server_name.get_or_init(|| {
            if let Some(configured) = &self.mount.settings().server_name {
                return configured.clone();
            }
            match self.local_addr().map(|local| local.ip()) {
                Some(IpAddr::V4(address)) => address.to_string(),
                // In brackets, as in a URL and a Host header (RFC 3875 §4.1.14).
                Some(IpAddr::V6(address)) => format!("[{address}]"),
                None => match host::split(self.host().unwrap_or_default()).0 {
                    "" => "localhost".to_owned(),
                    host => host.to_owned(),
                },
            }
        })
    }

    fn server_port(&self) -> &str {
        self.computed().server_port.get_or_init(|| {
            if let Some(known) = self.mount.settings().server_port.or_else(|| Some(self.local_addr()?.port())) {
                return known.to_string();
            }
            match host::split(self.host().unwrap_or_default()).1 {
                // `parse` alone would accept a sign.
                port if port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok() => {
                    port.to_owned()
                }
                _ if self.url_scheme() == "https" => "443".to_owned(),
                _ => "80".to_owned(),
            }
        })
    }

    /// The value of the header for `HTTP_` and `key`.
    fn header(&self, key: &str) -> Option<&str> {
        let headers = &self.parts.headers;
        headers::with_header_name(key, |name| match headers::value(headers, name)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(value) => {
                let slots = self
                    .computed()
                    .headers
                    .get_or_init(|| std::iter::repeat_with(OnceCell::new).take(headers.keys_len()).collect());
                let slot = headers.keys().position(|known| known.as_str() == name)?;
                Some(slots.get(slot)?.get_or_init(|| value))
            }
        })
    }
}
