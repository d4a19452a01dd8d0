use gateway::{Environ, StartResponse, wsgi_app};

type Page = String;

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<Page> {
    start_response("200 OK", &[])?;
    Ok(Page::new())
}

fn main() {}
