use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Vec<u8>> {
    start_response("200 OK", &[])?;
    Ok(Vec::new())
}

fn main() {}
