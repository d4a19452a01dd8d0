//! Parsing the fn. The caller's nodes are kept for their spans.

use proc_macro2::{Group, Span, TokenStream};
use syn::parse::{ParseStream, Parser as _, discouraged::Speculative as _};
use syn::{Attribute, Error, Signature, Token, Visibility};

use crate::diagnostics;

/// The fn under the attribute. Its body stays tokens: rustc reports its errors.
#[derive(Clone)]
pub(crate) struct AnnotatedFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl AnnotatedFn {
    fn parse(input: ParseStream<'_>, not_a_function: fn(Span) -> Error) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        // Qualifiers may come before `fn`; anything else is another kind of item.
        let ahead = input.fork();
        let Ok(sig) = ahead.parse::<Signature>() else {
            let error = if is_fn(input) { input.parse::<Signature>().err() } else { None };
            return Err(error.unwrap_or_else(|| not_a_function(input.span())));
        };
        input.advance_to(&ahead);
        if input.peek(Token![;]) {
            return Err(diagnostics::no_body(input.span()));
        }
        Ok(Self { attrs, vis, sig, body: input.parse()? })
    }
}

/// Whether there is a `fn` before the first braces or semicolon.
fn is_fn(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while !ahead.is_empty() && !ahead.peek(syn::token::Brace) && !ahead.peek(Token![;]) {
        if ahead.peek(Token![fn]) {
            return true;
        }
        if ahead.parse::<proc_macro2::TokenTree>().is_err() {
            return false;
        }
    }
    false
}

/// Parses the fn. `not_a_function` is the message for other items.
pub(crate) fn parse(item: TokenStream, not_a_function: fn(Span) -> Error) -> syn::Result<AnnotatedFn> {
    (|input: ParseStream<'_>| AnnotatedFn::parse(input, not_a_function)).parse2(item)
}
