use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    if environ.query().is_empty() {
        start_response("204 No Content", &[])?;
        return Ok([]);
    }
    start_response("200 OK", &[])?;
    Ok([environ.query().to_owned()])
}

fn main() {}
