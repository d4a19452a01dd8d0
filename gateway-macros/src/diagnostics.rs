//! Every message of the macro: the error, and the fix.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// Collects the errors of one fn, so that all are reported at once.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Option<Error>,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_none()
    }

    /// A `compile_error!` for each error.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.errors.map(|errors| errors.into_compile_error()).unwrap_or_default()
    }
}

/// Defines one constructor per message, for a span or for tokens. The book explains each message under a heading of the
/// same name.
macro_rules! messages {
    ($($name:ident: $message:literal;)+) => {
        $(pub(crate) fn $name(at: impl At) -> Error {
            let heading = stringify!($name).replace('_', "-");
            at.error(&format!("{}\n\nsee book/src/macro.md#{heading} in gateway's repository", $message))
        })+
    };
}

messages! {
    unknown_argument: "unknown argument; write `#[wsgi_app]` or `#[wsgi_app(crate = path)]`";
    unknown_debug_argument: "unknown argument; write `#[debug_handler]`, with `state = Type` or `crate = path`";
    argument_twice: "this argument is given twice; keep one";
    not_a_function: "`#[wsgi_app]` goes on a fn; for a type, implement `gateway::Application`";
    no_body: "an application needs a body; write `{ … }` instead of `;`";
    applied_twice: "`#[wsgi_app]` is applied twice; remove one";
    async_fn: "an application blocks; remove `async`, or make this an axum handler";
    const_fn: "an application runs at run time; remove `const`";
    unsafe_fn: "an application is called by safe code; remove `unsafe` and use unsafe blocks inside";
    extern_abi: "an application is called by Rust; remove the `extern` ABI";
    variadic: "an application takes two parameters; remove the `...`";
    generic_type: "an application is one type; remove the type parameter, or implement `gateway::Application`";
    generic_const: "an application is one type; remove the const parameter, or implement `gateway::Application`";
    takes_self: "an application has no `self`; for one with state, implement `gateway::Application` on its type";
    no_parameters: "two parameters are missing; write `environ: &mut Environ, start_response: StartResponse<'_>`";
    no_start_response: "the second parameter is missing; write `start_response: StartResponse<'_>`";
    only_extractors: "a fn of extractors is no application; remove `#[wsgi_app]`, and mount it with `pool.handler`";
    extractor_parameter: "an application gets no extractors; write `environ.extract` in its body, or mount a handler with `pool.handler`";
    extra_parameter: "an application takes `environ` and `start_response` only; remove this parameter";
    impl_trait_parameter: "a parameter needs a type; write `&mut Environ` first and `StartResponse<'_>` second";
    environ_by_value: "environ is lent to the application; write `&mut Environ`";
    parameters_swapped: "environ comes first and start_response second; swap the parameters";
    start_response_by_reference: "start_response is given to the application; write `StartResponse<'_>`";
    returns_nothing: "an application returns its body; write `-> gateway::Result<[String; 1]>`";
    returns_unit: "an application returns its body; for one without bytes write `[&'static str; 0]`";
    returns_bare_body: "a body in one piece is a list of one; write it as `[T; 1]` and return `[body]`";
    debug_not_a_function: "`#[debug_handler]` goes on a blocking fn for `pool.handler`";
    handler_async: "a blocking handler is a plain fn; remove `async`, or make this an axum handler without `pool.handler`";
    handler_self: "a blocking handler has no `self`; take what it needs from `State`";
    handler_generic: "`#[debug_handler]` checks one fn; remove the attribute, or write the types without parameters";
    handler_arguments: "a blocking handler has at most 16 arguments; put some extractors into a tuple";
    body_not_last: "this extractor reads the request body; make it the last argument, and keep one of them";
    state_twice: "two states; write `#[debug_handler(state = Type)]` with the state of the router";
}

/// The location of a message.
pub(crate) trait At {
    fn error(self, message: &str) -> Error;
}

impl At for Span {
    fn error(self, message: &str) -> Error {
        Error::new(self, message)
    }
}

impl<T: ToTokens> At for &T {
    fn error(self, message: &str) -> Error {
        Error::new_spanned(self, message)
    }
}
