use axum::extract::State;
use gateway::debug_handler;

#[debug_handler]
fn read(_: State<String>, _: State<u64>) -> &'static str {
    "ok"
}

fn main() {}
