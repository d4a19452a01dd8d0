use axum::extract::State;
use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(
    State(names): State<Vec<String>>,
    _: &mut Environ,
    start_response: StartResponse<'_>,
) -> gateway::Result<Vec<String>> {
    start_response("200 OK", &[])?;
    Ok(names)
}

fn main() {}
