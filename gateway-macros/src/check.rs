//! Checks of the signature. Types that need name resolution are left to the compiler; `expand` provides the spans.

use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Pat, PatType, Path, PathArguments, ReturnType, Safety, Signature,
    Type, TypePath,
};

use crate::diagnostics::{self as say, Diagnostics};
use crate::parse::AnnotatedFn;

/// Reports every error that is visible in the signature.
pub(crate) fn check(function: &AnnotatedFn, diagnostics: &mut Diagnostics) {
    check_attributes(function, diagnostics);
    check_qualifiers(&function.sig, diagnostics);
    check_generics(&function.sig, diagnostics);
    if let Some(extractor) = only_extractors(&function.sig) {
        // The fn's return type belongs to a handler, too.
        diagnostics.push(say::only_extractors(extractor));
        return;
    }
    check_parameters(&function.sig, diagnostics);
    check_return_type(&function.sig, diagnostics);
}

fn check_attributes(function: &AnnotatedFn, diagnostics: &mut Diagnostics) {
    for attribute in &function.attrs {
        if is_wsgi_app(attribute) {
            diagnostics.push(say::applied_twice(attribute));
        }
    }
}

/// Whether an attribute is `wsgi_app`, under any path.
pub(crate) fn is_wsgi_app(attribute: &Attribute) -> bool {
    last_segment(attribute.path()).is_some_and(|name| name == "wsgi_app")
}

fn check_qualifiers(sig: &Signature, diagnostics: &mut Diagnostics) {
    if let Some(token) = &sig.constness {
        diagnostics.push(say::const_fn(token));
    }
    if let Some(token) = &sig.asyncness {
        diagnostics.push(say::async_fn(token));
    }
    if let Safety::Unsafe(token) = &sig.safety {
        diagnostics.push(say::unsafe_fn(token));
    }
    if let Some(abi) = &sig.abi {
        diagnostics.push(say::extern_abi(abi));
    }
    if let Some(variadic) = &sig.variadic {
        diagnostics.push(say::variadic(&variadic.dots));
    }
}

fn check_generics(sig: &Signature, diagnostics: &mut Diagnostics) {
    for param in &sig.generics.params {
        match param {
            GenericParam::Lifetime(_) => {}
            GenericParam::Type(param) => diagnostics.push(say::generic_type(&param.ident)),
            GenericParam::Const(param) => diagnostics.push(say::generic_const(&param.ident)),
        }
    }
}

fn check_parameters(sig: &Signature, diagnostics: &mut Diagnostics) {
    let mut inputs = sig.inputs.iter();
    let mut typed = Vec::new();
    for input in inputs.by_ref() {
        match input {
            FnArg::Receiver(receiver) => diagnostics.push(say::takes_self(&receiver.self_token)),
            FnArg::Typed(parameter) if is_extractor(parameter) => diagnostics.push(say::extractor_parameter(parameter)),
            FnArg::Typed(parameter) => typed.push(parameter),
        }
    }
    for parameter in &typed {
        if let Type::ImplTrait(ty) = referent(&parameter.ty) {
            diagnostics.push(say::impl_trait_parameter(&ty.impl_token));
        }
    }
    match typed[..] {
        [] => diagnostics.push(say::no_parameters(sig.paren_token.span.close())),
        [_] => diagnostics.push(say::no_start_response(sig.paren_token.span.close())),
        [environ, start_response, ref extra @ ..] => {
            check_types(environ, start_response, diagnostics);
            for parameter in extra {
                diagnostics.push(say::extra_parameter(&parameter.pat));
            }
        }
    }
}

/// The first parameter, if all are extractors.
fn only_extractors(sig: &Signature) -> Option<&PatType> {
    let extractors = sig.inputs.iter().map_while(|input| match input {
        FnArg::Typed(parameter) => Some(parameter).filter(|parameter| is_extractor(parameter)),
        FnArg::Receiver(_) => None,
    });
    if extractors.clone().count() == sig.inputs.len() { extractors.clone().next() } else { None }
}

/// Whether a parameter is an extractor, by a pattern such as `Path(id): Path<i64>`, or by a name of axum's.
fn is_extractor(parameter: &PatType) -> bool {
    let by_pattern = match (&*parameter.pat, &*parameter.ty) {
        (Pat::TupleStruct(pattern), Type::Path(ty)) => last_segment(&pattern.path) == last_segment(&ty.path),
        _ => false,
    };
    by_pattern || EXTRACTORS.iter().chain(BODY_EXTRACTORS).any(|name| names(&parameter.ty, name))
}

/// Extractors of the head that are named rather than destructured.
const EXTRACTORS: &[&str] = &["HeaderMap", "MatchedPath", "Method", "RawPathParams", "Uri"];

/// Extractors that read the request body.
pub(crate) const BODY_EXTRACTORS: &[&str] = &["Bytes", "Form", "Input", "Json", "Multipart", "Request", "String"];

fn check_types(environ: &PatType, start_response: &PatType, diagnostics: &mut Diagnostics) {
    if names(&environ.ty, "StartResponse") && names(referent(&start_response.ty), "Environ") {
        diagnostics.push(say::parameters_swapped(&environ.ty));
        return;
    }
    if names(&environ.ty, "Environ") {
        diagnostics.push(say::environ_by_value(&environ.ty));
    }
    if let Type::Reference(reference) = &*start_response.ty
        && names(&reference.elem, "StartResponse")
    {
        diagnostics.push(say::start_response_by_reference(&start_response.ty));
    }
}

fn check_return_type(sig: &Signature, diagnostics: &mut Diagnostics) {
    let ReturnType::Type(_, returned) = &sig.output else {
        diagnostics.push(say::returns_nothing(sig.paren_token.span.close()));
        return;
    };
    let body = inside_result(returned);
    if matches!(body, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        diagnostics.push(say::returns_unit(body));
    } else if is_bare_body(body) {
        diagnostics.push(say::returns_bare_body(body));
    }
}

/// Whether a type is one chunk rather than an iterable of them.
fn is_bare_body(ty: &Type) -> bool {
    let bytes = |ty: &Type| names(ty, "u8");
    match ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) => bytes(&slice.elem),
            elem => names(elem, "str"),
        },
        Type::Array(array) => bytes(&array.elem),
        Type::Path(path) if names(ty, "Vec") => first_argument(path).is_some_and(bytes),
        ty => names(ty, "String") || names(ty, "Bytes"),
    }
}

/// The success type of a type whose name ends in `Result`.
pub(crate) fn inside_result(ty: &Type) -> &Type {
    match ty {
        Type::Path(path) if last_segment(&path.path).is_some_and(|name| name.ends_with("Result")) => {
            first_argument(path).unwrap_or(ty)
        }
        ty => ty,
    }
}

pub(crate) fn first_argument(path: &TypePath) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn referent(ty: &Type) -> &Type {
    match ty {
        Type::Reference(reference) => &reference.elem,
        ty => ty,
    }
}

/// Whether a type has this name, under any path.
pub(crate) fn names(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if last_segment(&path.path).is_some_and(|last| last == name))
}

pub(crate) fn last_segment(path: &Path) -> Option<String> {
    path.segments.last().map(|segment| segment.ident.to_string())
}
