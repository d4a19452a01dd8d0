//! From a Python service to axum, one route at a time.
//!
//! [`Migration`] puts routes of Rust in front of the old application, which still answers everything else, other
//! methods on their paths included. [`Shadow`] shows, before or after a change, whether two implementations of a route
//! give the same responses to requests of real clients. Clients get the responses of one implementation and never
//! notice the other.
//!
//! The old side is a [`Gateway`](crate::Gateway) on its own pool, around any application; with the `python` feature,
//! around one that `gateway::python` loads. This module does not need Python.
//!
//! ```
//! use axum::routing::get;
//! use gateway::Gateway;
//! use gateway::migration::{Migration, Shadow};
//! use tower_layer::Layer as _;
//!
//! # fn old() -> Gateway {
//! #     Gateway::new(gateway::application_fn(|_, _| Ok(gateway::Chunks::empty())))
//! # }
//! async fn reports() -> &'static str {
//!     "written in Rust"
//! }
//!
//! let old: Gateway = old();
//! // The old application answers; one request in ten is also sent to the new handler, which is not trusted yet.
//! let invoices = Shadow::new(get(|| async { "written in Rust" })).every(10);
//! let app: axum::Router = Migration::new(old.clone())
//!     .route("/reports", get(reports))
//!     .route_service("/invoices", invoices.layer(old))
//!     .into_router();
//! # drop(app);
//! ```
//!
//! Threads: runtime.

mod router;
mod outer_uri;
mod shadow;
mod shadowed;
mod comparison;
mod prefix;
mod upload;
mod observed;
mod difference;

pub use self::router::Migration;
pub use self::shadow::{Shadow, ShadowCounts};
pub use self::shadowed::Shadowed;
