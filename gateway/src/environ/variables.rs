//! The table of the variables. To add a variable, add an entry, and a row to `book/src/request.md`.
//!
//! Threads: any.

use crate::environ::Environ;

/// A variable that is not simply the header of the same name.
#[cfg_attr(not(feature = "python"), allow(dead_code, reason = "for the dict of Python"))]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(super) value: fn(&Environ) -> Option<&str>,
    /// Whether every request has it, unless it is hidden.
    pub(crate) presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Always,
    Sometimes,
}

/// Makes [`VARIABLES`] for listing, a `match` for lookup, and the rows in the docs of [`Environ`].
macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:literal, $presence:ident, $value:expr;)+) => {
        /// In the order of [`Environ::iter`].
        pub(crate) const VARIABLES: &[Variable] = &[$(Variable {
            name: $name,
            value: $value,
            presence: Presence::$presence,
        }),+];

        impl Environ {
            /// The value of a variable that neither the application nor the mount has set.
            pub(super) fn of_request(&self, key: &str) -> Option<&str> {
                match key {
                    $($name => {
                        let value: fn(&Environ) -> Option<&str> = $value;
                        value(self)
                    })+
                    _ => self.outside_table(key),
                }
            }
        }

        macro_rules! documented_variables {
            () => {
                concat!($("| `", $name, "` |", $($doc,)+ " |\n"),+)
            };
        }
    };
}

variables! {
    // Doc, name, [`Presence`], value.

    /// the method as received
    "REQUEST_METHOD", Always, |environ| Some(environ.method().as_str());
    /// the decoded part of the path that routing consumed; `""` or `/…`, never `/` alone
    "SCRIPT_NAME", Always, |environ| Some(environ.cgi_script_name());
    /// the decoded rest of the path
    "PATH_INFO", Always, |environ| Some(environ.cgi_path_info());
    /// the part after the first `?`, not decoded; `""` if there is none
    "QUERY_STRING", Always, |environ| Some(environ.cgi_query_string());
    /// the header; absent if the client sent none
    "CONTENT_TYPE", Sometimes, Environ::cgi_content_type;
    /// the header; absent if the client sent none, or a chunked body
    "CONTENT_LENGTH", Sometimes, Environ::cgi_content_length;
    /// as configured, else the local address, if the server reports it ([`LocalAddr`](crate::LocalAddr)), else from the
    /// request's host; never empty
    "SERVER_NAME", Always, |environ| Some(environ.cgi_server_name());
    /// as `SERVER_NAME`, else the port of the scheme
    "SERVER_PORT", Always, |environ| Some(environ.cgi_server_port());
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`
    "SERVER_PROTOCOL", Always, |environ| Some(environ.cgi_server_protocol());
    /// this crate and its version
    "SERVER_SOFTWARE", Always, |_| Some(concat!("gateway/", env!("CARGO_PKG_VERSION")));
    /// `CGI/1.1`
    "GATEWAY_INTERFACE", Always, |_| Some("CGI/1.1");
    /// the address of the peer, if the server reports it (axum's [`ConnectInfo`]), or of the client, if a [trusted
    /// proxy](crate::TrustedProxies) reports it; `""` for a peer on a Unix socket, which has none; otherwise absent
    "REMOTE_ADDR", Sometimes, Environ::cgi_remote_addr;
    /// the port that belongs to `REMOTE_ADDR`, if it is reported
    "REMOTE_PORT", Sometimes, Environ::cgi_remote_port;
    /// the request target as received: not decoded, prefix and query included
    "REQUEST_URI", Always, |environ| Some(environ.cgi_request_uri());
    /// the same as `REQUEST_URI`
    "RAW_URI", Always, |environ| Some(environ.cgi_request_uri());
    /// `on` if the scheme is `https`, else absent
    "HTTPS", Sometimes, |environ| (environ.url_scheme() == "https").then_some("on");
    /// the scheme that a trusted proxy reports, else `https` if the server reports a [`Tls`](crate::Tls) connection,
    /// else as configured
    "wsgi.url_scheme", Always, |environ| Some(environ.url_scheme());
    /// the request's id in the log
    "gateway.request_id", Always, |environ| Some(environ.request_id());
    /// the host in the request target, as on HTTP/2, else the header `Host`
    "HTTP_HOST", Sometimes, Environ::cgi_host;
}
