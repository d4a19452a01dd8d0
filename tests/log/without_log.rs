//! A program without a `tracing` subscriber. Three of its requests fail. It prints their statuses.

use gateway::{Gateway, Pool, application_fn};
use tower::ServiceExt as _;

fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(1).build()?;
    let app = application_fn(|_, _| Err(gateway::Error::new("the disk\nis gone")));
    let gateway = Gateway::new(app).pool(&pool);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for _ in 0..3 {
        let request = http::Request::new(axum::body::Body::empty());
        let Ok(response) = runtime.block_on(gateway.clone().oneshot(request));
        println!("{}", response.status().as_u16());
    }
    Ok(())
}
