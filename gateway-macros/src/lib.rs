//! The attributes of the [gateway](https://docs.rs/gateway) crate, which re-exports them. Use them from there.
#![forbid(unsafe_code)]

mod args;
mod parse;
mod check;
mod debug_handler;
mod diagnostics;
mod expand;
mod fallback;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod signatures;

use proc_macro::TokenStream;

/// Makes an application from a blocking fn.
///
/// The fn takes the [`Environ`] and the [`StartResponse`] of a request and returns its body: anything that can be
/// iterated and yields byte chunks, bare or in a `Result`.
///
/// ```
/// use gateway::{Environ, Gateway, StartResponse, wsgi_app};
///
/// /// Greets the caller.
/// #[wsgi_app]
/// pub fn hello(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
///     start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
///     Ok([format!("Hello, {}!\n", environ.get("REMOTE_ADDR").unwrap_or("stranger"))])
/// }
///
/// let service = Gateway::new(hello);
/// ```
///
/// # What becomes of the fn
///
/// * A unit type with its name, its visibility, docs and `cfg`s, implements [`Application`]. It is `Clone`, `Copy`,
///   `Debug` and `Default`.
/// * The fn itself stays callable as `hello::run(environ, start_response)`, for unit tests; see
///   `gateway::testing::with_request`. All other attributes stay on it.
///
/// As with every unit type, a `let` with the same name in the same module is a pattern that matches the type; rename
/// the variable.
///
/// # What the fn may look like
///
/// * Parameters may be patterns or `_`. The environ may also be taken as `&Environ`.
/// * Lifetimes may be named, and the chunks may borrow from the environ.
/// * The return type is an iterable of chunks: an array, a `Vec`, an `Option`, `impl Iterator`, `Chunks`. Chunks are
///   `Bytes`, `Vec<u8>`, `String`, `&'static str`, or a `Result` of one. A body in one piece is a list of one,
///   `[body]`.
/// * Any `Result` is accepted, such as `gateway::Result`, `io::Result` or `anyhow::Result`, and the body may use `?`.
///
/// For an application with state, implement [`Application`] by hand.
///
/// # Arguments
///
/// `#[wsgi_app(crate = path)]` sets the path of the gateway crate, if it is not `::gateway`, such as for a re-export.
///
/// [`Application`]: https://docs.rs/gateway/latest/gateway/trait.Application.html
/// [`Environ`]: https://docs.rs/gateway/latest/gateway/struct.Environ.html
/// [`StartResponse`]: https://docs.rs/gateway/latest/gateway/struct.StartResponse.html
#[proc_macro_attribute]
pub fn wsgi_app(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::wsgi_app(args.into(), &item.into()).into()
}

/// Names the wrong type of a blocking fn for `Pool::handler`.
///
/// A fn that is no handler fails in the call of `pool.handler`, with a message about the fn as a whole. Under this
/// attribute the compiler checks each type by itself, and underlines the wrong one. The fn itself stays as it is, and
/// costs nothing at run time.
///
/// ```
/// use axum::extract::{Path, State};
/// use axum::http::StatusCode;
/// use gateway::debug_handler;
///
/// #[debug_handler]
/// fn read(State(names): State<Vec<String>>, Path(id): Path<usize>) -> Result<String, StatusCode> {
///     names.get(id).cloned().ok_or(StatusCode::NOT_FOUND)
/// }
/// # assert_eq!(read(State(vec!["Ada".to_owned()]), Path(0)), Ok("Ada".to_owned()));
/// ```
///
/// # What is checked
///
/// * Each argument implements `FromRequestParts<S>`, the last one `FromRequest<S>`; all are `Send` and `'static`.
/// * The result implements `IntoResponse`.
/// * The fn is not `async` or generic, has no `self`, and at most 16 arguments.
///
/// # Arguments
///
/// * `#[debug_handler(state = Type)]` sets the state `S` of the router. Without it, `S` is the type in the `State<T>`
///   among the arguments, or `()`.
/// * `#[debug_handler(crate = path)]` sets the path of the gateway crate, if it is not `::gateway`.
#[proc_macro_attribute]
pub fn debug_handler(args: TokenStream, item: TokenStream) -> TokenStream {
    debug_handler::debug_handler(args.into(), &item.into()).into()
}
