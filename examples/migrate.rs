//! A Flask shop that moves to Rust, one route at a time, in one process and on one port.
//!
//! ```sh
//! python3 -m venv .venv && .venv/bin/pip install flask
//! VIRTUAL_ENV=.venv cargo run --release --features python --example migrate -- --step 1
//! curl 'http://127.0.0.1:8000/quote?product=2&count=11'
//! curl http://127.0.0.1:8000/shadow
//! ```
//!
//! * Step 0: Flask answers everything. Open <http://127.0.0.1:8000/> and order something.
//! * Step 1: Flask still answers everything, and each `GET /quote` also goes to a first draft in Rust. The quote above
//!   is 446 cents, and the log says `the body differs`: the draft rounds the discounted price, while Flask rounds the
//!   discount. `/shadow` counts.
//! * Step 2: Rust answers `GET /quote` without that mistake, with Flask as the shadow. Try `product=9`: both say 422
//!   with different error pages, and you decide whether that matters.
//! * Step 3: Rust answers `GET /products` and `GET /products/1`, too. Flask still answers an order, which is a POST to
//!   the same path, `OPTIONS`, the front page, and every 404 outside of these paths.
//!
//! The shadow runs on a share of Flask's pool; clients do not wait for it.

mod log;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use clap::Parser;
use gateway::migration::{Migration, Shadow};
use gateway::python::{self, Callable, Loader};
use gateway::{Application, Pool, Share};
use serde_json::{Value, json};
use tower::Layer as _;

/// A shop in Flask that moves to Rust.
#[derive(Parser)]
struct Options {
    /// The step of the move.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    step: u8,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// The folder of `flask_shop.py`.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/python"))]
    python_path: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let _log = log::Log::start("warn", std::io::stdout());
    // Importing Flask blocks, so it comes before the runtime.
    let shop = load(options.python_path)?;
    let pool = python::pool().threads(16).build()?;
    let app = app(options.step, shop, &pool)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        println!("listening on http://{}", listener.local_addr()?);
        gateway::serve(listener, app).pool(&pool).stop_on_signals()?.await?;
        Ok(())
    })
}

/// The old application.
pub(crate) fn load(folder: PathBuf) -> anyhow::Result<Callable> {
    Ok(Loader::new().path(folder).load("flask_shop:app")?)
}

/// The shop at a step of the move. The old application is a parameter, so that tests can pass another.
pub(crate) fn app(step: u8, shop: impl Application, pool: &Pool) -> anyhow::Result<Router> {
    let flask = python::mount(shop, pool)?;
    // Comparisons use at most four threads of the pool.
    let aside = flask.clone().pool(&pool.share(Share::new().max_in_flight(4))?);
    let migration = Migration::new(flask.clone());
    let migration = match step {
        0 => migration,
        1 => {
            // Flask answers the whole path; Rust gets copies of the requests that will move.
            let shadow = Shadow::new(get(draft));
            let counts = shadow.clone();
            migration
                .route_service("/quote", shadow.layer(flask))
                .route("/shadow", get(|| async move { format!("{:#?}\n", counts.counts()) }))
        }
        _ => {
            let shadow = Shadow::new(aside);
            let counts = shadow.clone();
            let migration = migration
                .route("/quote", get(quote).layer(shadow))
                .route("/shadow", get(|| async move { format!("{:#?}\n", counts.counts()) }));
            match step {
                2 => migration,
                _ => migration.route("/products", get(products)).route("/products/{id}", get(product)),
            }
        }
    };
    Ok(migration.into_router())
}

// ── what has moved ───────────────────────────────────────────────────────────────────────────────────────────────────

/// Both sides have the same constant products. State that changes belongs into a database, which both sides can read.
const PRODUCTS: [(u32, &str, u64); 3] = [(1, "Apple", 30), (2, "Pear", 45), (3, "Quince", 120)];

type Arguments = Query<HashMap<String, String>>;

/// The price before the discount, and the quantity.
fn total(Query(arguments): &Arguments) -> Option<(u64, u64)> {
    let id: u32 = arguments.get("product")?.parse().ok()?;
    let count: u64 = arguments.get("count").and_then(|count| count.parse().ok()).unwrap_or(1);
    let (_, _, price) = PRODUCTS.iter().find(|(known, _, _)| *known == id)?;
    Some((price.checked_mul(count).filter(|total| *total > 0)?, count))
}

fn cents(quote: Option<u64>) -> axum::response::Response {
    match quote {
        Some(cents) => Html(format!("{cents} cents\n")).into_response(),
        None => (StatusCode::UNPROCESSABLE_ENTITY, Html("there is no such product\n")).into_response(),
    }
}

/// A first draft of `GET /quote`, with a mistake that its shadow shows.
async fn draft(arguments: Arguments) -> impl IntoResponse {
    cents(total(&arguments).map(|(total, count)| if count >= 10 { total * 9 / 10 } else { total }))
}

/// `GET /quote`
async fn quote(arguments: Arguments) -> impl IntoResponse {
    cents(total(&arguments).map(|(total, count)| if count >= 10 { total - total / 10 } else { total }))
}

/// `GET /products`
async fn products() -> impl IntoResponse {
    json(&PRODUCTS.iter().map(describe).collect())
}

/// `GET /products/1`. Flask's `<int:id>` matches digits only; axum's `{id}` matches anything, so the handler checks it.
async fn product(Path(id): Path<String>) -> axum::response::Response {
    match PRODUCTS.iter().find(|(known, _, _)| id.parse() == Ok(*known)) {
        Some(product) => json(&describe(product)).into_response(),
        None => (StatusCode::NOT_FOUND, format!("There is no product {id:?}.\n")).into_response(),
    }
}

fn describe((id, name, price): &(u32, &str, u64)) -> Value {
    json!({ "id": id, "name": name, "price": price })
}

/// With Flask's line end.
fn json(value: &Value) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n"))
}
