use gateway::{StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut impl Sized, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    start_response("200 OK", &[])?;
    Ok(["ok"])
}

fn main() {}
