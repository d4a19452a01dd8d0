use axum::Json;
use gateway::debug_handler;

#[debug_handler]
fn create<T>(_: Json<T>) -> &'static str {
    "ok"
}

#[debug_handler]
fn read(_: impl Iterator<Item = u8>) -> &'static str {
    "ok"
}

fn main() {}
