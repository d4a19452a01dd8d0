use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<impl Iterator<Item = String>> {
    let words = environ.query().split('+');
    start_response("200 OK", &[])?;
    Ok(words.map(move |word| format!("{word} {}\n", environ.method())))
}

fn main() {}
