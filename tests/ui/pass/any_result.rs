use gateway::{Environ, StartResponse, wsgi_app};

type Outcome<T> = std::result::Result<T, std::num::ParseIntError>;

#[wsgi_app]
fn app(environ: &mut Environ, _: StartResponse<'_>) -> Outcome<Vec<String>> {
    let count: usize = environ.query().parse()?;
    Ok(vec![String::new(); count])
}

#[wsgi_app]
fn of_io(environ: &mut Environ, start_response: StartResponse<'_>) -> std::io::Result<[Vec<u8>; 1]> {
    let body = environ.input().read_all()?;
    start_response("200 OK", &[])?.send("")?;
    Ok([body])
}

#[derive(Debug)]
enum Failure {
    Io(std::io::Error),
    Gateway(gateway::CallError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Gateway(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<gateway::CallError> for Failure {
    fn from(error: gateway::CallError) -> Self {
        Self::Gateway(error)
    }
}

#[wsgi_app]
fn own(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<[String; 1], Failure> {
    let text = std::io::read_to_string(environ.input())?;
    start_response("200 OK", &[])?;
    Ok([text])
}

fn main() {}
