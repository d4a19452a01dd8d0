use gateway::debug_handler;

#[debug_handler]
struct Notes;

fn main() {}
