use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let name = environ.query();
    let body = environ.input().read_all()?;
    start_response("200 OK", &[])?;
    Ok([format!("{name}: {} bytes", body.len())])
}

fn main() {}
