#![deny(missing_docs, unreachable_pub)]
//! Documented.

/// Public.
pub mod outer {
    use gateway::{Environ, StartResponse, wsgi_app};

    /// Documented.
    #[wsgi_app]
    pub fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
        start_response("200 OK", &[])?;
        Ok(["ok"])
    }
}

/// Runs.
pub fn main() {
    gateway::Gateway::new(outer::app);
}
