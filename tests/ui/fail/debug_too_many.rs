use axum::http::Method;
use gateway::debug_handler;

#[debug_handler]
fn read(
    _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method,
    _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _last: Method,
) -> &'static str {
    "ok"
}

fn main() {}
