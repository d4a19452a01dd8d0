use gateway::debug_handler;

#[debug_handler]
async fn read() -> &'static str {
    "ok"
}

fn main() {}
