use gateway::{Environ, StartResponse, wsgi_app};

#[wsgi_app]
fn app<'e, 's>(environ: &'e mut Environ, start_response: StartResponse<'s>) -> gateway::Result<Box<dyn Iterator<Item = &'static str> + 'e>>
where
    's: 'e,
{
    start_response("200 OK", &[])?;
    Ok(Box::new(std::iter::repeat_n("x", environ.path_info().len())))
}

fn main() {}
