use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = Vec<u8>>> {
    start_response("200 OK", &[])?;
    let lines = environ.input().readlines(0)?;
    Ok(lines.iter().map(|line| line.clone()))
}

fn main() {}
