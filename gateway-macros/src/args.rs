//! The arguments of the attributes: `crate = path`, and `state = Type` of `#[debug_handler]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Error, Path, Token, Type, parse_quote};

use crate::diagnostics::{self, Diagnostics};

mod keyword {
    syn::custom_keyword!(state);
}

/// The values of the arguments.
pub(crate) struct Args {
    /// The path of the library in the expansion.
    pub(crate) krate: Path,
    /// The state of the router.
    pub(crate) state: Option<Type>,
}

/// Parses the arguments of `#[wsgi_app]`. Reports and skips invalid ones.
pub(crate) fn of_wsgi_app(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Args {
    parse(tokens, false, diagnostics::unknown_argument, diagnostics)
}

/// Parses the arguments of `#[debug_handler]`. Reports and skips invalid ones.
pub(crate) fn of_debug_handler(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Args {
    parse(tokens, true, diagnostics::unknown_debug_argument, diagnostics)
}

fn parse(tokens: TokenStream, takes_state: bool, unknown: fn(Span) -> Error, diagnostics: &mut Diagnostics) -> Args {
    let (mut krate, mut state) = (None, None);
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let name = input.span();
            if takes_state && input.parse::<Option<keyword::state>>()?.is_some() {
                set(&mut state, value(input, Type::parse).ok_or_else(|| unknown(name))?, name)?;
            } else {
                input.parse::<Token![crate]>().map_err(|_| unknown(name))?;
                set(&mut krate, value(input, Path::parse_mod_style).ok_or_else(|| unknown(name))?, name)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>().map_err(|_| unknown(input.span()))?;
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        diagnostics.push(error);
    }
    Args { krate: krate.unwrap_or_else(|| parse_quote!(::gateway)), state }
}

/// The value behind `=`.
fn value<T>(input: ParseStream<'_>, parse: fn(ParseStream<'_>) -> syn::Result<T>) -> Option<T> {
    input.parse::<Token![=]>().ok()?;
    parse(input).ok()
}

fn set<T>(slot: &mut Option<T>, value: T, name: Span) -> syn::Result<()> {
    match slot.replace(value) {
        Some(_) => Err(diagnostics::argument_twice(name)),
        None => Ok(()),
    }
}
