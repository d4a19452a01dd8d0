use gateway::{wsgi_app};

#[wsgi_app]
fn app() -> gateway::Result<[&'static str; 1]> {
    Ok(["ok"])
}

fn main() {}
