//! Expansions, compared as formatted source.

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::wsgi_app;

fn formatted(tokens: TokenStream) -> String {
    let text = tokens.to_string();
    prettyplease::unparse(&syn::parse2(tokens).unwrap_or_else(|error| panic!("{error} in {text}")))
}

/// The documented shape: a type, the fn, the trait.
#[test]
fn a_fn_becomes_a_type_with_an_associated_fn() {
    let expansion = wsgi_app(
        quote!(),
        &quote! {
            /// Greets.
            #[instrument]
            #[cfg(unix)]
            pub(crate) fn hello(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<[String; 1]> {
                body()
            }
        },
    );
    let expected = quote! {
        /// Greets.
        #[cfg(unix)]
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::core::default::Default)]
        pub(crate) struct hello;

        #[cfg(unix)]
        impl hello {
            /// The fn behind the application, to be called directly in tests.
            #[allow(
                clippy::missing_errors_doc,
                clippy::missing_panics_doc,
                clippy::needless_pass_by_value,
                clippy::unnecessary_wraps
            )]
            #[instrument]
            pub(crate) fn run(environ: &mut Environ, start_response: StartResponse<'_>) -> Result<[String; 1]> {
                body()
            }
        }

        #[cfg(unix)]
        impl ::gateway::Application for hello {
            fn call<'r>(
                &'r self,
                environ: &'r mut ::gateway::Environ,
                start_response: ::gateway::StartResponse<'r>,
            ) -> ::gateway::Result<::gateway::Chunks<'r>> {
                use ::gateway::__private::Bare as _;
                let returned = ::gateway::__private::Returned(Self::run(environ, start_response));
                returned.into_result()
            }
        }
    };
    assert_eq!(formatted(expansion), formatted(expected));
}

/// In case of an error a router can still name the type.
#[test]
fn a_mistake_leaves_an_inert_application() {
    let expansion = formatted(wsgi_app(
        quote!(),
        &quote!(
            async fn app() {}
        ),
    ));
    for part in ["compile_error!", "struct app;", "impl ::gateway::Application for app", "unreachable!()"] {
        assert!(expansion.contains(part), "{part} is missing from {expansion}");
    }
}

/// An item that is not a fn is unchanged.
#[test]
fn another_item_is_emitted_unchanged() {
    let expansion = formatted(wsgi_app(
        quote!(),
        &quote!(
            struct App {
                field: u8,
            }
        ),
    ));
    assert!(expansion.contains("compile_error!") && expansion.contains("field: u8"), "{expansion}");
}

/// The compiler reports a body that does not parse.
#[test]
fn a_body_is_passed_on_unread() {
    let expansion = wsgi_app(quote!(), &quote!(fn app(a: &mut E, b: S<'_>) -> V { let = ; })).to_string();
    assert!(!expansion.contains("compile_error"), "{expansion}");
    assert!(expansion.contains("let = ;"), "{expansion}");
}
