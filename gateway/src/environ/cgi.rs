//! The values of the CGI variables, computed on demand.
//!
//! Threads: any.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use http::header::AsHeaderName;
use http::{Version, header};

use crate::LocalAddr;
use crate::declared_length::declared_length;
use crate::environ::script_name::Split;
use crate::environ::tls::Tls;
use crate::environ::{Environ, headers, host, local, script_name, target};
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

impl Environ {
    /// `gateway.request_id`: the id of the request, as in the log.
    pub fn request_id(&self) -> &str {
        latin1::lend(self.id.as_str().as_bytes(), || &self.computed().request_id)
    }

    pub(super) fn cgi_script_name(&self) -> &str {
        match self.split() {
            (["", script, ""], _) => latin1::lend_decoded(script, || &self.computed().script_name),
            (parts, _) => self.computed().script_name.get_or_init(|| parts.map(latin1::decode_percent).concat()),
        }
    }

    pub(super) fn cgi_path_info(&self) -> &str {
        match self.split().1 {
            // `OPTIONS *` is about the server, not about a path.
            "*" => "",
            info => latin1::lend_decoded(info, || &self.computed().path_info),
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
    pub(super) fn split(&self) -> ([&str; 3], &str) {
        let removed_by_proxy = self.forwarded().and_then(|forwarded| forwarded.prefix.as_deref());
        let configured = removed_by_proxy.unwrap_or(&self.mount.settings().script_name);
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

    pub(super) fn cgi_query_string(&self) -> &str {
        latin1::lend(self.parts.uri.query().unwrap_or_default().as_bytes(), || &self.computed().query)
    }

    pub(super) fn cgi_request_uri(&self) -> &str {
        match target::written(&self.parts) {
            Cow::Borrowed(target) => latin1::lend(target.as_bytes(), || &self.computed().request_uri),
            Cow::Owned(target) => {
                self.computed().request_uri.get_or_init(|| latin1::decode(target.as_bytes()).into_owned())
            }
        }
    }

    pub(super) fn cgi_content_type(&self) -> Option<&str> {
        let value = self.parts.headers.get(header::CONTENT_TYPE)?;
        Some(latin1::lend(value.as_bytes().trim_ascii(), || &self.computed().content_type))
    }

    pub(super) fn cgi_content_length(&self) -> Option<&str> {
        declared_length(&self.parts.headers)?;
        self.parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()
    }

    pub(super) fn cgi_host(&self) -> Option<&str> {
        host::in_target(&self.parts.uri).or_else(|| {
            let value = self.parts.headers.get(header::HOST)?;
            Some(latin1::lend(value.as_bytes().trim_ascii(), || &self.computed().host))
        })
    }

    pub(super) fn cgi_server_name(&self) -> &str {
        self.computed().server_name.get_or_init(|| {
            if let Some(configured) = &self.mount.settings().server_name {
                return latin1::decode(configured.as_bytes()).into_owned();
            }
            match self.local_addr().map(|local| local.ip()) {
                Some(address @ IpAddr::V4(_)) => local::text(address),
                // In brackets, as in a URL and a Host header (RFC 3875 §4.1.14).
                Some(IpAddr::V6(address)) => format!("[{address}]"),
                None => match host::split(self.cgi_host().unwrap_or_default()).0 {
                    "" => "localhost".to_owned(),
                    host => host.to_owned(),
                },
            }
        })
    }

    pub(super) fn cgi_server_port(&self) -> &str {
        self.computed().server_port.get_or_init(|| {
            if let Some(known) = self.mount.settings().server_port.or_else(|| Some(self.local_addr()?.port())) {
                return local::port_text(known);
            }
            match host::split(self.cgi_host().unwrap_or_default()).1 {
                // `parse` alone would accept a sign.
                port if port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok() => {
                    port.to_owned()
                }
                _ if self.url_scheme() == "https" => "443".to_owned(),
                _ => "80".to_owned(),
            }
        })
    }

    pub(super) fn cgi_server_protocol(&self) -> &'static str {
        match self.parts.version {
            Version::HTTP_09 => "HTTP/0.9",
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }

    pub(super) fn cgi_remote_addr(&self) -> Option<&str> {
        let Some(address) = self.remote_ip() else {
            // The client is known, and has no address. Applications expect the key, as gunicorn sets it.
            return LocalAddr::is_unix(&self.parts.extensions).then_some("");
        };
        Some(self.computed().remote_addr.get_or_init(|| local::text(address)))
    }

    pub(super) fn cgi_remote_port(&self) -> Option<&str> {
        // The port and the address must belong to the same client.
        let port = match self.forwarded().filter(|forwarded| forwarded.client.is_some()) {
            Some(forwarded) => forwarded.port?,
            None => self.remote_addr()?.port(),
        };
        Some(self.computed().remote_port.get_or_init(|| local::port_text(port)))
    }

    /// The value of a header for its variable.
    pub(super) fn header(&self, name: impl AsHeaderName + AsRef<str> + Copy) -> Option<&str> {
        let headers = &self.parts.headers;
        match headers::value(headers, name)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(value) => {
                let slots = self
                    .computed()
                    .headers
                    .get_or_init(|| std::iter::repeat_with(OnceCell::new).take(headers.keys_len()).collect());
                let slot = headers.keys().position(|known| known.as_str() == name.as_ref())?;
                Some(slots.get(slot)?.get_or_init(|| value))
            }
        }
    }
}
