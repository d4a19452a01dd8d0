use gateway::{Environ, StartResponse, Write, wsgi_app};

thread_local!(static KEPT: std::cell::RefCell<Option<Write<'static>>> = std::cell::RefCell::default());

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    KEPT.set(Some(start_response("200 OK", &[])?));
    Ok(["ok"])
}

fn main() {}
