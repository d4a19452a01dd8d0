use std::cell::Cell;

use gateway::{Chunks, Gateway, application_fn};

fn main() {
    let calls = Cell::new(0);
    Gateway::new(application_fn(move |_, start_response| {
        calls.set(calls.get() + 1);
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ok"]))
    }));
}
