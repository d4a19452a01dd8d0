use gateway::debug_handler;

#[debug_handler(threads = 4)]
fn read() -> &'static str {
    "ok"
}

fn main() {}
