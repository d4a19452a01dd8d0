use axum::Router;
use gateway::{Environ, Gateway, StartResponse, wsgi_app};

#[wsgi_app]
async fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn router() -> Router {
    Router::new().nest_service("/app", Gateway::new(app))
}

fn main() {}
