//! `#[debug_handler]`: a fn, and the checks of its types.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, GenericParam, PatType, ReturnType, Signature, Type, parse_quote};

use crate::args::{self, Args};
use crate::check::{BODY_EXTRACTORS, first_argument, names};
use crate::diagnostics::{self as say, Diagnostics};
use crate::parse;

/// The maximum number of arguments of a blocking handler.
const MOST_ARGUMENTS: usize = 16;

/// The unchanged fn, and a second fn that checks the types and is never called.
pub(crate) fn debug_handler(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Diagnostics::default();
    let args = args::of_debug_handler(arguments, &mut errors);
    let function = match parse::parse(item.clone(), say::debug_not_a_function) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    check(&function.sig, &mut errors);
    let state = state(&function.sig, args.state.as_ref(), &mut errors);
    // A misplaced or excess argument already has a message, which is more precise than the compiler's.
    let checks = if errors.is_empty() { checks(&function.sig, &args, &state) } else { TokenStream::new() };
    let errors = errors.into_tokens();
    quote!(#item #errors #checks)
}

/// The arguments without a `self`.
fn typed(sig: &Signature) -> impl Iterator<Item = &PatType> {
    sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(parameter) => Some(parameter),
        FnArg::Receiver(_) => None,
    })
}

/// Reports every error that is visible in the signature.
fn check(sig: &Signature, errors: &mut Diagnostics) {
    if let Some(token) = &sig.asyncness {
        errors.push(say::handler_async(token));
    }
    if let Some(receiver) = sig.receiver() {
        errors.push(say::handler_self(receiver));
    }
    for param in &sig.generics.params {
        if !matches!(param, GenericParam::Lifetime(_)) {
            errors.push(say::handler_generic(param));
        }
    }
    for parameter in typed(sig) {
        if let Type::ImplTrait(ty) = &*parameter.ty {
            errors.push(say::handler_generic(ty));
        }
    }
    if let Some(extra) = sig.inputs.iter().nth(MOST_ARGUMENTS) {
        errors.push(say::handler_arguments(extra));
    }
    for parameter in typed(sig).take(sig.inputs.len().saturating_sub(1)) {
        if BODY_EXTRACTORS.iter().any(|name| names(&parameter.ty, name)) {
            errors.push(say::body_not_last(&parameter.ty));
        }
    }
}

/// The state of the router: the given type, or otherwise the type in `State<T>` among the arguments, or `()`.
fn state(sig: &Signature, given: Option<&Type>, errors: &mut Diagnostics) -> Type {
    if let Some(given) = given {
        return given.clone();
    }
    let mut states = typed(sig).filter_map(|parameter| match &*parameter.ty {
        Type::Path(path) if names(&parameter.ty, "State") => first_argument(path),
        _ => None,
    });
    let Some(first) = states.next() else { return parse_quote!(()) };
    let text = |ty: &Type| ty.to_token_stream().to_string();
    if let Some(other) = states.find(|other| text(other) != text(first)) {
        errors.push(say::state_twice(other));
    }
    first.clone()
}

/// One call for each type, with the type as its parameter, so that the compiler underlines the type. A fn can be an
/// item of a module and of an `impl`.
fn checks(sig: &Signature, Args { krate, .. }: &Args, state: &Type) -> TokenStream {
    let count = sig.inputs.len();
    let arguments = typed(sig).enumerate().map(|(index, PatType { ty, .. })| {
        if index + 1 == count {
            quote_spanned!(ty.span()=> #krate::__private::last_argument::<#ty, #state, _>();)
        } else {
            quote_spanned!(ty.span()=> #krate::__private::argument::<#ty, #state>();)
        }
    });
    let result = match &sig.output {
        // An `impl Trait` has no name for this check. The call of `pool.handler` checks its type.
        ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)) => TokenStream::new(),
        ReturnType::Type(_, ty) => quote_spanned!(ty.span()=> #krate::__private::result::<#ty>();),
        ReturnType::Default => TokenStream::new(),
    };
    let name = format_ident!("__gateway_check_{}", sig.ident);
    quote! {
        #[allow(warnings, clippy::all, clippy::pedantic)]
        #[doc(hidden)]
        fn #name() {
            #(#arguments)*
            #result
        }
    }
}
