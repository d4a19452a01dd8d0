use gateway::{Environ, StartResponse, wsgi_app};

type Outcome<T> = std::result::Result<T, std::num::ParseIntError>;

#[wsgi_app]
fn app(environ: &mut Environ, _: StartResponse<'_>) -> Outcome<Vec<String>> {
    let count: usize = environ.query().parse()?;
    Ok(vec![String::new(); count])
}

fn main() {}
