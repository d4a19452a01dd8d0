use axum::Router;
use axum::routing::get;
use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn hello(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn main() {
    let _: Router = Router::new().route("/", get(hello));
}
