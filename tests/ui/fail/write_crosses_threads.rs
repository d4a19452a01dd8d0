use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    let write = start_response("200 OK", &[])?;
    std::thread::scope(|scope| {
        scope.spawn(|| write.send("from elsewhere"));
    });
    Ok(["ok"])
}

fn main() {}
