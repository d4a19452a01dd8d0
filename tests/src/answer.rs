//! Parts of applications.

use std::sync::mpsc::Sender;

use gateway::{Application, CallError, Chunk, Chunks, Environ, Write, application_fn};

/// An application that answers 200 without header fields, with the chunks that the closure returns.
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

/// Sends a message when it is dropped.
#[derive(Debug)]
pub struct NotifyOnDrop(pub Sender<()>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        // The test may have ended.
        let _ = self.0.send(());
    }
}

/// Writes until a write fails.
pub fn write_until_refused(write: &Write<'_>) -> CallError {
    loop {
        if let Err(error) = write.send(vec![b'x'; 64 * 1024]) {
            return error;
        }
    }
}
