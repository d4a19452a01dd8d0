//! `#[wsgi_app]` or `#[wsgi_app(crate = path)]`.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser as _};
use syn::{Path, Token, parse_quote};

use crate::diagnostics::{self, Diagnostics};

/// Parses the arguments: the path of the library in the expansion. Reports and skips invalid ones.
pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Path {
    let mut krate = None;
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let name = input.parse::<Token![crate]>().map_err(|_| diagnostics::unknown_argument(input.span()))?;
            input.parse::<Token![=]>().map_err(|_| diagnostics::unknown_argument(name.span))?;
            let path = input.call(Path::parse_mod_style).map_err(|_| diagnostics::unknown_argument(name.span))?;
            if krate.is_some() {
                return Err(diagnostics::argument_twice(name.span));
            }
            krate = Some(path);
            if !input.is_empty() {
                input.parse::<Token![,]>().map_err(|_| diagnostics::unknown_argument(input.span()))?;
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        diagnostics.push(error);
    }
    krate.unwrap_or_else(|| parse_quote!(::gateway))
}
