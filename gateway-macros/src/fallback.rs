//! The expansion in case of errors.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::quote;
use syn::{Ident, Path, ReturnType, parse_quote};

use crate::expand::{declare_run, declare_type, implement_application};
use crate::parse::AnnotatedFn;

/// The type and an inert `Application`, so that a router that names the application adds no error; and the fn, so that
/// the compiler still checks its body.
pub(crate) fn expand(function: &AnnotatedFn, krate: &Path) -> TokenStream {
    let declared_type = declare_type(function);
    let mut standing = function.clone();
    // Remove the qualifiers that would cause further errors.
    standing.sig.constness = None;
    standing.sig.abi = None;
    standing.sig.variadic = None;
    if matches!(standing.sig.output, ReturnType::Default) {
        // Without its return type, the body would fail to compile for that reason alone.
        standing.attrs.push(parse_quote!(#[allow(unused_variables)]));
        standing.body = Group::new(Delimiter::Brace, quote!(::core::unreachable!()));
    }
    let run = declare_run(&standing);
    let [environ, start_response] = ["_environ", "_start_response"].map(|name| Ident::new(name, Span::mixed_site()));
    let body = quote!(::core::unreachable!());
    let application = implement_application(function, krate, &environ, &start_response, &body);
    quote!(#declared_type #run #application)
}
