use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<String> {
    start_response("200 OK", &[])?;
    Ok(String::new())
}

fn main() {}
