//! Every CGI variable, computed when it is asked for.

use std::borrow::Cow;
use std::cell::OnceCell;

use http::{Version, header};

use super::Environ;
use crate::request::script_name::{self, Split};
use crate::request::{host, latin1, target, variables};

/// Values that had to be put together, kept so that [`Environ::get`] can lend them.
#[derive(Default)]
pub(super) struct Computed {
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

/// The variables that do not come from headers, in the order of [`Environ::iter`].
const VARIABLES: [&str; 16] = [
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
    "wsgi.url_scheme",
];

impl Environ {
    /// The value of a variable; `None` if the request has no such thing. Keys are case-sensitive.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some(own) = self.own(key) {
            return own;
        }
        match key {
            "REQUEST_METHOD" => Some(self.parts.method.as_str()),
            "SCRIPT_NAME" => Some(latin1::lend_decoded(self.split().script, &self.computed.script_name)),
            "PATH_INFO" => Some(match self.split().info {
                // `OPTIONS *` asks about the server, not about a path.
                "*" => "",
                info => latin1::lend_decoded(info, &self.computed.path_info),
            }),
            "QUERY_STRING" => {
                Some(latin1::lend(self.parts.uri.query().unwrap_or_default().as_bytes(), &self.computed.query))
            }
            "CONTENT_TYPE" => {
                let value = self.parts.headers.get(header::CONTENT_TYPE)?;
                Some(latin1::lend(value.as_bytes().trim_ascii(), &self.computed.content_type))
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
                let peer = self.remote_addr()?;
                Some(self.computed.remote_addr.get_or_init(|| peer.ip().to_string()))
            }
            "REMOTE_PORT" => {
                let peer = self.remote_addr()?;
                Some(self.computed.remote_port.get_or_init(|| peer.port().to_string()))
            }
            "REQUEST_URI" | "RAW_URI" => Some(self.request_uri()),
            "wsgi.url_scheme" => Some(self.url_scheme()),
            "HTTP_HOST" => self.host(),
            _ => self.header(key.strip_prefix("HTTP_")?),
        }
    }

    /// All variables that are present, each once: the fixed ones, the headers, the own keys.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        let fixed = VARIABLES.into_iter().map(Cow::Borrowed);
        // The host may come from the target alone, as it does on HTTP/2.
        let host = self.host().filter(|_| !self.parts.headers.contains_key(header::HOST)).map(|_| "HTTP_HOST".into());
        let headers = self.parts.headers.keys().filter_map(variables::key).map(Cow::Owned);
        let own = self.own.iter().map(|(key, _)| Cow::Borrowed(key.as_str()));
        fixed
            .chain(host)
            .chain(headers)
            .filter(|key| !self.own.iter().any(|(own, _)| own == key))
            .chain(own)
            .filter_map(|key| Some((self.get(&key)?, key)))
            .map(|(value, key)| (key, value))
    }

    fn split(&self) -> Split<'_> {
        script_name::split(&self.parts)
    }

    fn request_uri(&self) -> &str {
        match target::written(&self.parts) {
            Cow::Borrowed(target) => latin1::lend(target.as_bytes(), &self.computed.request_uri),
            Cow::Owned(target) => {
                self.computed.request_uri.get_or_init(|| latin1::decode(target.as_bytes()).into_owned())
            }
        }
    }

    /// `HTTP_HOST`.
    fn host(&self) -> Option<&str> {
        host::in_target(&self.parts.uri).or_else(|| {
            let value = self.parts.headers.get(header::HOST)?;
            Some(latin1::lend(value.as_bytes().trim_ascii(), &self.computed.host))
        })
    }

    fn server_name(&self) -> &str {
        self.computed.server_name.get_or_init(|| {
            match (&self.mount.settings().server_name, host::split(self.host().unwrap_or_default()).0) {
                (Some(configured), _) => configured.clone(),
                (None, "") => "localhost".to_owned(),
                (None, host) => host.to_owned(),
            }
        })
    }

    fn server_port(&self) -> &str {
        self.computed.server_port.get_or_init(|| {
            match (self.mount.settings().server_port, host::split(self.host().unwrap_or_default()).1) {
                (Some(configured), _) => configured.to_string(),
                // Parsing alone would take a sign.
                (None, port) if port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok() => {
                    port.to_owned()
                }
                (None, _) if self.mount.settings().https => "443".to_owned(),
                (None, _) => "80".to_owned(),
            }
        })
    }

    /// The header behind `HTTP_` and `key`.
    fn header(&self, key: &str) -> Option<&str> {
        let headers = &self.parts.headers;
        let name = variables::header_name(key)?;
        match variables::value(headers, &name)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(value) => {
                let slots = self
                    .computed
                    .headers
                    .get_or_init(|| std::iter::repeat_with(OnceCell::new).take(headers.keys_len()).collect());
                let slot = headers.keys().position(|known| *known == name)?;
                Some(slots.get(slot)?.get_or_init(|| value))
            }
        }
    }
}
