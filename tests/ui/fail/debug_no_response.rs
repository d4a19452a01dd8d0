use gateway::debug_handler;

struct Note;

#[debug_handler]
fn read() -> Note {
    Note
}

#[debug_handler]
fn fallible() -> Result<&'static str, Note> {
    Ok("ok")
}

fn main() {}
