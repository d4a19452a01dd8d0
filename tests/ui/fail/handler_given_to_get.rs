use axum::Router;
use axum::extract::Path;
use axum::routing::get;

fn read(Path(id): Path<u64>) -> String {
    id.to_string()
}

fn main() {
    let _: Router = Router::new().route("/{id}", get(read));
}
