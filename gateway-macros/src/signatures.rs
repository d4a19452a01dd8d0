//! Generated signatures: each expands to an item that parses and has its type and its trait, with an error or without.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{File, Item};

use crate::debug_handler::debug_handler;
use crate::expand::wsgi_app;

const QUALIFIERS: [&str; 5] = ["", "async", "const", "unsafe", "extern \"C\""];
const GENERICS: [&str; 4] = ["", "<'a>", "<T>", "<const N: usize>"];
const ENVIRON: &str = "environ: &mut Environ";
const START: &str = "start_response: StartResponse<'_>";
const ARGUMENTS: [&str; 9] = [
    "&self",
    ENVIRON,
    START,
    "start_response: &StartResponse<'_>",
    "environ: gateway::Environ",
    "Path(id): Path<i64>",
    "body: String",
    "_: impl Copy",
    "_: &mut impl Fn() -> (u8, u8)",
];
/// The second half is refused.
const RESULTS: [&str; 8] = [
    "-> gateway::Result<[String; 1]>",
    "-> Chunks<'static>",
    "-> impl Iterator<Item = &'static str> + '_",
    "-> Result<Vec<Vec<u8>>, Error>",
    "",
    "-> Result<()>",
    "-> Result<Vec<u8>, Error>",
    "-> &'static str",
];

/// A signature, and whether it is that of an application, unless only the compiler can judge it.
fn signatures() -> impl Iterator<Item = (String, Option<bool>)> {
    let lists = std::iter::once(Vec::new())
        .chain(ARGUMENTS.iter().map(|one| vec![*one]))
        .chain(ARGUMENTS.iter().flat_map(|one| ARGUMENTS.iter().map(|other| vec![*one, *other])))
        .chain(ARGUMENTS.iter().map(|third| vec![ENVIRON, START, *third]));
    // Elsewhere a receiver does not parse.
    let lists = lists.filter(|list| !list.iter().skip(1).any(|argument| *argument == "&self"));
    lists.flat_map(|list| {
        let combined =
            QUALIFIERS.iter().flat_map(|qualifier| GENERICS.iter().map(move |generics| (*qualifier, *generics)));
        let combined = combined.flat_map(|(qualifier, generics)| {
            RESULTS.iter().enumerate().map(move |(at, result)| (qualifier, generics, *result, at < RESULTS.len() / 2))
        });
        combined.map(move |(qualifier, generics, result, is_body)| {
            let arguments = list.join(", ");
            let is_plain = qualifier.is_empty() && !generics.contains(['T', 'N']) && is_body;
            // Types that only the compiler can judge.
            let is_open = list.len() == 2
                && list.iter().all(|argument| argument.contains("nviron") || argument.contains("Start"));
            let is_fine = match is_plain {
                true if list == [ENVIRON, START] => Some(true),
                true if is_open => None,
                _ => Some(false),
            };
            (format!("pub {qualifier} fn app{generics}({arguments}) {result} {{ body(|| 1) }}"), is_fine)
        })
    })
}

fn parsed(expansion: &TokenStream, signature: &str) -> File {
    syn::parse2(expansion.clone()).unwrap_or_else(|error| panic!("{signature}: {error} in {expansion}"))
}

/// MAC-01: whatever the signature, there is one type and one application of its name, and an error exactly if the
/// signature is not that of an application.
#[test]
fn every_signature_is_an_application_or_an_error_beside_an_inert_one() {
    let mut counts = [0, 0];
    for (signature, is_fine) in signatures() {
        let item: TokenStream = signature.parse().unwrap();
        let expansion = wsgi_app(quote!(), &item);
        let file = parsed(&expansion, &signature);
        let types = file.items.iter().filter(|item| matches!(item, Item::Struct(item) if item.ident == "app"));
        let traits = file.items.iter().filter(|item| match item {
            Item::Impl(item) => item.trait_.is_some() && item.self_ty.to_token_stream().to_string() == "app",
            _ => false,
        });
        assert_eq!((types.count(), traits.count()), (1, 1), "{signature}: {expansion}");
        let Some(is_fine) = is_fine else { continue };
        assert_eq!(!expansion.to_string().contains("compile_error"), is_fine, "{signature}: {expansion}");
        counts[usize::from(is_fine)] += 1;
    }
    assert!(counts[0] > 10_000 && counts[1] > 5, "{counts:?}");
}

/// The fn under `debug_handler` stays as it is.
#[test]
fn every_handler_keeps_its_fn() {
    for (signature, _) in signatures() {
        let item: TokenStream = signature.parse().unwrap();
        let expansion = debug_handler(quote!(), &item);
        let file = parsed(&expansion, &signature);
        let is_there = file.items.iter().any(|item| matches!(item, Item::Fn(item) if item.sig.ident == "app"));
        assert!(is_there, "{signature}: {expansion}");
    }
}
