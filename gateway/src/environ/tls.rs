//! The server's facts about a TLS connection.
//!
//! Threads: any.

use std::fmt;
use std::sync::Arc;

use crate::latin1;

/// The facts of a request's TLS connection, for the variables of the `SSL_` family.
///
/// The server puts it into the extensions of the connection's requests. The environ then has `HTTPS=on`,
/// `wsgi.url_scheme` is `https`, and each fact is a variable. Nothing else sets these variables: no header can.
///
/// The names are those of Apache's `mod_ssl`, which applications expect: `SSL_PROTOCOL`, `SSL_CIPHER`,
/// `SSL_CLIENT_S_DN` and so on.
///
/// # Example
///
/// ```
/// use axum::{Extension, Router};
/// use gateway::{Environ, Gateway, StartResponse, Tls, wsgi_app};
///
/// #[wsgi_app]
/// fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
///     start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok([environ.get("SSL_PROTOCOL").unwrap_or("no TLS").to_owned()])
/// }
///
/// let facts = Tls::new().with("SSL_PROTOCOL", "TLSv1.3").with("SSL_CIPHER", "TLS_AES_128_GCM_SHA256");
/// # let client = gateway::testing::Client::new(app);
/// # assert_eq!(client.request("GET", "/").extension(facts.clone()).send().text(), "TLSv1.3");
/// let router: Router = Router::new().fallback_service(Gateway::new(app)).layer(Extension(facts));
/// # drop(router);
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    variables: Arc<Vec<(String, String)>>,
}

impl Tls {
    /// A TLS connection without further facts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a fact. Text beyond ASCII reaches the application as its UTF-8 bytes, one character for each,
    /// as in all variables.
    ///
    /// # Panics
    ///
    /// Panics if the name does not begin with `SSL_`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        assert!(name.starts_with("SSL_"), "the TLS fact {name:?} has to be called SSL_ and something");
        let variables = Arc::make_mut(&mut self.variables);
        variables.retain(|(known, _)| *known != name);
        variables.push((name, latin1::decode(value.into().as_bytes()).into_owned()));
        self
    }

    /// The facts with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
