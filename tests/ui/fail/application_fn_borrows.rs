use gateway::{Chunks, Environ, StartResponse, application_fn};

fn echo(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Chunks<'_>> {
    start_response("200 OK", &[])?;
    Ok(Chunks::new(environ.input().chunks(1024)))
}

fn main() {
    application_fn(echo);
}
