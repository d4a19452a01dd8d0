extern crate gateway as other;

mod gateway {}

#[other::wsgi_app(crate = other)]
fn app(_: &mut other::Environ, start_response: other::StartResponse<'_>) -> other::Result<[&'static str; 1]> {
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn main() {}
