//! Applications that answer 200, whatever the request.

use gateway::{Application, Chunk, Chunks, Environ, application_fn};

/// An application that answers 200 without header fields, with the chunks that the closure makes.
pub fn answer_fn<F, C>(chunks: F) -> impl Application + use<F, C>
where
    F: Fn(&mut Environ) -> gateway::Result<C> + Send + Sync + 'static,
    C: IntoIterator<IntoIter: 'static, Item: Chunk + 'static> + 'static,
{
    application_fn(move |environ, start_response| {
        let chunks = chunks(environ)?;
        start_response("200 OK", &[])?;
        Ok(Chunks::new(chunks))
    })
}
