use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(environ: &Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[])?;
    Ok([environ.path_info().to_owned()])
}

fn main() {}
