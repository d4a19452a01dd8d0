use gateway::debug_handler;

struct Notes;

impl Notes {
    #[debug_handler]
    fn read(&self) -> &'static str {
        "ok"
    }
}

fn main() {
    Notes.read();
}
