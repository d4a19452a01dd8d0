use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
#[allow(unused_variables)]
#[inline(never)]
#[cfg_attr(all(), deprecated)]
#[cfg_attr(all(), must_use)]
fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    let unused = environ.path_info();
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn main() {}
