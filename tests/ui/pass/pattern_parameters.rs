use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn ignored(_: &mut Environ, _: StartResponse<'_>) -> Vec<String> {
    Vec::new()
}

#[wsgi_app]
fn mutable(mut environ: &mut Environ, ref start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    let other = &mut *environ;
    environ = other;
    start_response("200 OK", &[])?;
    Ok([environ.path_info().to_owned()])
}

fn main() {}
