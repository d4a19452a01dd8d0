use gateway::{Environ, StartResponse, wsgi_app};

struct NotAnError;

#[wsgi_app]
fn app(_: &mut Environ, _: StartResponse<'_>) -> Result<[&'static str; 1], NotAnError> {
    Err(NotAnError)
}

fn main() {}
