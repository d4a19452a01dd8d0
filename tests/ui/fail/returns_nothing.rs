use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) {
    let _ = start_response("200 OK", &[]);
}

fn main() {}
