use axum::Router;
use axum::routing::get;
use gateway::Pool;

fn read(_: u64) -> &'static str {
    "ok"
}

fn main() {
    let pool = Pool::builder().build().unwrap();
    let _: Router = Router::new().route("/", get(pool.handler(read)));
}
