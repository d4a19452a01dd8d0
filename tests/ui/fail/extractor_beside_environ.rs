use axum::extract::Path;
use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>, Path(id): Path<u64>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[])?;
    Ok([id.to_string()])
}

fn main() {}
