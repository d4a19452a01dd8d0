//! The expansion.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, FnArg, Ident, Meta, Path, ReturnType};

use crate::args;
use crate::check::{check, inside_result, is_wsgi_app};
use crate::diagnostics::{self, Diagnostics};
use crate::fallback;
use crate::parse::{self, AnnotatedFn};

/// parse → check → expand, or fall back.
pub(crate) fn wsgi_app(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut argument_errors = Diagnostics::default();
    let args = args::of_wsgi_app(arguments, &mut argument_errors);
    let function = match parse::parse(item.clone(), diagnostics::not_a_function) {
        Ok(function) => function,
        Err(error) => {
            let errors = error.into_compile_error();
            return quote!(#errors #item);
        }
    };
    let mut errors = Diagnostics::default();
    check(&function, &mut errors);
    let expansion =
        if errors.is_empty() { expand(&function, &args.krate) } else { fallback::expand(&function, &args.krate) };
    let errors = [argument_errors.into_tokens(), errors.into_tokens()];
    quote!(#(#errors)* #expansion)
}

/// ```text
/// Input:
///     /// Greets.
///     #[instrument]
///     pub fn hello(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<[String; 1]> { BODY }
/// Output:
///     /// Greets.
///     #[derive(Clone, Copy, Debug, Default)]
///     pub struct hello;
///
///     impl hello {
///         #[instrument]
///         pub fn run(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<[String; 1]> { BODY }
///     }
///
///     impl Application for hello {
///         fn call<'r>(&'r self, environ: &'r mut Environ, start_response: StartResponse<'r>) -> Result<Chunks<'r>> {
///             let returned = Returned(Self::run(environ, start_response));
///             returned.into_result()
///         }
///     }
/// ```
///
/// The two arguments and the final call have the spans of the parameter types and of the return type, so that the
/// compiler underlines the wrong type.
fn expand(function: &AnnotatedFn, krate: &Path) -> TokenStream {
    let environ = Ident::new("environ", Span::mixed_site());
    let start_response = Ident::new("start_response", Span::mixed_site());
    let mut arguments = function.sig.inputs.iter().zip([&environ, &start_response]).map(|(input, name)| {
        let span = match input {
            FnArg::Typed(parameter) => parameter.ty.span(),
            FnArg::Receiver(receiver) => receiver.span(),
        };
        let mut name = name.clone();
        name.set_span(span.resolved_at(Span::mixed_site()));
        name
    });
    let (first, second) = (arguments.next(), arguments.next());
    let (result, chunks) = match &function.sig.output {
        ReturnType::Type(_, ty) => (ty.span(), inside_result(ty).span()),
        ReturnType::Default => (function.sig.ident.span(), function.sig.ident.span()),
    };
    let returned = Ident::new("returned", chunks.resolved_at(Span::mixed_site()));
    let into_result = quote_spanned!(result.resolved_at(Span::mixed_site())=> into_result());
    let body = quote! {
        use #krate::__private::Bare as _;
        let #returned = #krate::__private::Returned(Self::run(#first, #second));
        #returned.#into_result
    };
    let declared_type = declare_type(function);
    let run = declare_run(function);
    let application = implement_application(function, krate, &environ, &start_response, &body);
    quote!(#declared_type #run #application)
}

/// The unit type with the fn's name.
pub(crate) fn declare_type(function: &AnnotatedFn) -> TokenStream {
    let attrs = function.attrs.iter().filter(|attribute| goes_on_type(attribute));
    let (vis, name) = (&function.vis, &function.sig.ident);
    quote! {
        #(#attrs)*
        #[allow(non_camel_case_types)]
        #[derive(
            ::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::core::default::Default
        )]
        #vis struct #name;
    }
}

/// The fn itself, as an associated fn.
pub(crate) fn declare_run(function: &AnnotatedFn) -> TokenStream {
    let AnnotatedFn { attrs, vis, sig, body } = function;
    let attrs = attrs.iter().filter(|attribute| goes_on_function(attribute));
    let cfgs = cfgs(function);
    let name = &sig.ident;
    let mut sig = sig.clone();
    // Keeps the span of the name for backtraces and lints.
    sig.ident = Ident::new("run", name.span());
    quote! {
        #(#cfgs)*
        impl #name {
            /// The fn behind the application, to be called directly in tests.
            #[allow(
                clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::needless_pass_by_value,
                clippy::unnecessary_wraps
            )]
            #(#attrs)*
            #vis #sig #body
        }
    }
}

/// The `impl` of the trait, with this body for its method.
pub(crate) fn implement_application(
    function: &AnnotatedFn,
    krate: &Path,
    environ: &Ident,
    start_response: &Ident,
    body: &TokenStream,
) -> TokenStream {
    let cfgs = cfgs(function);
    let name = &function.sig.ident;
    quote! {
        #(#cfgs)*
        impl #krate::Application for #name {
            fn call<'r>(
                &'r self,
                #environ: &'r mut #krate::Environ,
                #start_response: #krate::StartResponse<'r>,
            ) -> #krate::Result<#krate::Chunks<'r>> {
                #body
            }
        }
    }
}

/// The `cfg`s of the fn, for the other items; with an `allow` for a deprecated type.
fn cfgs(function: &AnnotatedFn) -> impl Iterator<Item = TokenStream> {
    function.attrs.iter().filter_map(|attribute| match meaning(attribute).as_str() {
        "cfg" => Some(attribute.to_token_stream()),
        "deprecated" => Some(quote!(#[allow(deprecated)])),
        _ => None,
    })
}

/// Attributes that describe or configure the item, and lint levels.
fn goes_on_type(attribute: &Attribute) -> bool {
    is_lint_level(attribute) || matches!(meaning(attribute).as_str(), "doc" | "cfg" | "deprecated")
}

/// All others, such as `#[tracing::instrument]`, and lint levels. Not a second `#[wsgi_app]`, which was reported.
fn goes_on_function(attribute: &Attribute) -> bool {
    is_lint_level(attribute) || !(goes_on_type(attribute) || is_wsgi_app(attribute))
}

fn is_lint_level(attribute: &Attribute) -> bool {
    matches!(meaning(attribute).as_str(), "allow" | "warn" | "deny" | "forbid")
}

/// The name of an attribute, or of the attribute inside `cfg_attr(predicate, name …)`.
fn meaning(attribute: &Attribute) -> String {
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    if let Meta::List(list) = &attribute.meta
        && list.path.is_ident("cfg_attr")
    {
        let inner = list.tokens.clone().into_iter().skip_while(|token| !is_comma(token)).nth(1);
        return inner.map(|name| name.to_string()).unwrap_or_default();
    }
    attribute.path().get_ident().map(ToString::to_string).unwrap_or_default()
}
