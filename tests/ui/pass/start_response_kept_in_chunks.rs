use gateway::{CallError, Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app<'r>(_: &'r mut Environ, start_response: StartResponse<'r>) -> impl Iterator<Item = Result<&'static str, CallError>> {
    std::iter::once_with(move || start_response("200 OK", &[]).map(|_| "late"))
}

fn main() {}
