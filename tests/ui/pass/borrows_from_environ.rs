use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = std::io::Result<Vec<u8>>>> {
    start_response("200 OK", &[])?;
    Ok(environ.input().chunks(1024).map(|chunk| chunk.map(|bytes| bytes.to_vec())))
}

fn main() {}
