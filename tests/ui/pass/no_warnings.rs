#![deny(warnings)]
#![forbid(unsafe_code)]

use gateway::{Environ, StartResponse, wsgi_app};

/// Documented.
#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn main() {
    gateway::Gateway::new(app);
}
