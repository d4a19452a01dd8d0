//! What is emitted beside the errors.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, Path, ReturnType};

use crate::expand::{declare_run, declare_type, implement_application};
use crate::parse::WsgiFn;

/// The type and an inert `Application`, so that a router which names the application adds no error of its own; and the fn, so
/// that the compiler still checks its body.
pub(crate) fn expand(function: &WsgiFn, krate: &Path) -> TokenStream {
    let declared_type = declare_type(function);
    // A C-variadic fn is an error wherever it stands, and a body without its return type fails for that reason alone.
    let can_stand = function.sig.variadic.is_none() && matches!(function.sig.output, ReturnType::Type(..));
    let run = can_stand.then(|| {
        let mut function = function.clone();
        // These change what the body may say; the mistake is in the qualifier, not in there.
        function.sig.constness = None;
        function.sig.abi = None;
        declare_run(&function)
    });
    let [environ, start_response] = ["_environ", "_start_response"].map(|name| Ident::new(name, Span::mixed_site()));
    let body = quote!(::core::unreachable!());
    let application = implement_application(function, krate, &environ, &start_response, &body);
    quote!(#declared_type #run #application)
}
