use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(start_response: StartResponse<'_>, _: &mut Environ) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn main() {}
