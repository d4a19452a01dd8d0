//! Fns whose arguments are extractors.
//!
//! Threads: extractors on the runtime; the fn on the pool.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};

use crate::contained::Contained;

/// A blocking fn with up to 16 extractors as arguments, for [`Pool::handler`](crate::Pool::handler).
///
/// Implemented for each `F: FnOnce(T1, …, Tn) -> R` that is `Clone + Send + Sync + 'static`, where
///
/// * `T1` to `Tn` are `Send + 'static`, and implement [`FromRequestParts<S>`](FromRequestParts) for the state `S` of
///   the router; the last may implement [`FromRequest<S>`](FromRequest) instead;
/// * `R` implements [`IntoResponse`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking handler",
    label = "not a blocking handler",
    note = "a blocking handler is a plain fn: each argument implements `FromRequestParts`, the last one `FromRequest`, and its result implements `IntoResponse`",
    note = "put `#[gateway::debug_handler]` on the fn to see which of its types is wrong; for an application of `(environ, start_response)`, use `pool.mount`",
    note = "see book/src/macro.md#not-a-blocking-handler in gateway's repository"
)]
pub trait BlockingFn<T, S>: Clone + Send + Sync + Sized + 'static {
    /// Runs the extractors. Returns the call that is left to do, or the rejection.
    #[doc(hidden)]
    fn extract(
        self,
        request: Request,
        state: S,
    ) -> impl Future<Output = Result<impl FnOnce() -> Response + Send + 'static, Response>> + Send + 'static;
}

/// A fn without arguments. The tuple is as in axum's own impl.
impl<F, S, R> BlockingFn<((),), S> for F
where
    F: FnOnce() -> R + Clone + Send + Sync + 'static,
    R: IntoResponse,
{
    fn extract(
        self,
        _: Request,
        _: S,
    ) -> impl Future<Output = Result<impl FnOnce() -> Response + Send + 'static, Response>> + Send + 'static {
        let function = Contained::new(self);
        std::future::ready(Ok(move || function.into_inner()().into_response()))
    }
}

macro_rules! blocking_fns {
    () => {};
    ([$($first:ident)*] $last:ident $($more:ident)*) => {
        impl<F, S, R, M, $($first,)* $last> BlockingFn<(M, $($first,)* $last,), S> for F
        where
            F: FnOnce($($first,)* $last) -> R + Clone + Send + Sync + 'static,
            S: Send + Sync + 'static,
            R: IntoResponse,
            $($first: FromRequestParts<S> + Send + 'static,)*
            $last: FromRequest<S, M> + Send + 'static,
        {
            #[expect(non_snake_case, reason = "each argument is named after its type")]
            #[allow(unused_mut, reason = "the impl for one argument changes no parts")]
            fn extract(
                self,
                request: Request,
                state: S,
            ) -> impl Future<Output = Result<impl FnOnce() -> Response + Send + 'static, Response>> + Send + 'static {
                // Each value by itself: a call that is never made drops all of them.
                let (function, state) = (Contained::new(self), Contained::new(state));
                async move {
                    let (mut parts, body) = request.into_parts();
                    $(
                        let $first = $first::from_request_parts(&mut parts, &state)
                            .await
                            .map_err(IntoResponse::into_response)?;
                        let $first = Contained::new($first);
                    )*
                    let request = Request::from_parts(parts, body);
                    let $last = $last::from_request(request, &state).await.map_err(IntoResponse::into_response)?;
                    let $last = Contained::new($last);
                    Ok(move || {
                        let function = function.into_inner();
                        function($($first.into_inner(),)* $last.into_inner()).into_response()
                    })
                }
            }
        }

        blocking_fns!(@next [$($first)* $last] $($more)*);
    };
    (@next [$($first:ident)*]) => {};
    (@next [$($first:ident)*] $last:ident $($more:ident)*) => {
        blocking_fns!([$($first)*] $last $($more)*);
    };
}

blocking_fns!([] T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T13 T14 T15 T16);
