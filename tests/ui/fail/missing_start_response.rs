use gateway::{Environ, wsgi_app};

#[wsgi_app]
fn app(_: &mut Environ) -> gateway::Result<[&'static str; 1]> {
    Ok(["ok"])
}

fn main() {}
