use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[u32; 2]> {
    start_response("200 OK", &[])?;
    Ok([1, 2])
}

fn main() {}
