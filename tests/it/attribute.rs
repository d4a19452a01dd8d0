//! The expansion of `#[wsgi_app]` for valid fns. The tests in `ui` have the refused fns.

use gateway::testing::{Client, with_request};
use gateway::{Chunks, Environ, Gateway, StartResponse, wsgi_app};

/// Says hello.
#[wsgi_app]
pub(crate) fn hello(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 1]> {
    start_response("200 OK", &[])?;
    Ok([format!("Hello, {}!", environ.get("REMOTE_ADDR").unwrap_or("stranger"))])
}

/// MAC-01.
#[test]
fn the_fn_becomes_a_type_and_stays_callable() {
    assert_eq!(Client::new(hello).get("/").text(), "Hello, stranger!");
    let recorded = with_request(Client::new(hello).request("GET", "/"), hello::run);
    assert_eq!(recorded.returned.unwrap(), ["Hello, stranger!"]);
    assert_eq!(recorded.head.unwrap().status(), 200);
}

#[test]
fn what_a_fn_writes_directly_is_recorded() {
    #[wsgi_app]
    fn progress(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
        let write = start_response("202 Accepted", &[("X-A", "1")])?;
        write.send("one")?;
        write.send("two")?;
        Ok(["three"])
    }
    let recorded = with_request(Client::new(progress).request("GET", "/"), progress::run);
    assert_eq!(recorded.written, ["one", "two"]);
    assert_eq!(recorded.head.unwrap().headers()["x-a"], "1");
}

/// MAC-03: every accepted return type, bare and in every kind of `Result`.
#[test]
fn any_iterable_of_chunks_may_be_returned() {
    type Outcome<T> = Result<T, String>;

    #[wsgi_app]
    fn bare(_: &mut Environ, start_response: StartResponse<'_>) -> Vec<&'static str> {
        match start_response("200 OK", &[]) {
            Ok(_) => vec!["a", "b"],
            Err(_) => vec![],
        }
    }
    #[wsgi_app]
    fn io(_: &mut Environ, start_response: StartResponse<'_>) -> std::io::Result<Option<Vec<u8>>> {
        start_response("200 OK", &[])?;
        Ok(Some(b"ab".to_vec()))
    }
    #[wsgi_app]
    fn any(
        _: &mut Environ,
        start_response: StartResponse<'_>,
    ) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>>> {
        start_response("200 OK", &[])?;
        Ok(["a", "b"].into_iter().map(|text| Ok(text.to_owned())))
    }
    #[wsgi_app]
    fn alias(_: &mut Environ, start_response: StartResponse<'_>) -> Outcome<[bytes::Bytes; 2]> {
        start_response("200 OK", &[]).map_err(|error| error.to_string())?;
        Ok(["a".into(), "b".into()])
    }
    #[wsgi_app]
    fn boxed<'e>(
        _: &'e mut Environ,
        start_response: StartResponse<'e>,
    ) -> gateway::Result<Box<dyn Iterator<Item = &'static [u8]> + 'e>> {
        start_response("200 OK", &[])?;
        Ok(Box::new([b"a".as_slice(), b"b".as_slice()].into_iter()))
    }
    #[wsgi_app]
    fn chunks<'e>(_: &'e mut Environ, start_response: StartResponse<'e>) -> gateway::Result<Chunks<'e>> {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["ab"]))
    }
    let clients = [
        Client::new(bare),
        Client::new(io),
        Client::new(any),
        Client::new(alias),
        Client::new(boxed),
        Client::new(chunks),
    ];
    for client in clients {
        assert_eq!(client.get("/").text(), "ab");
    }
}

/// MAC-08.
#[test]
fn chunks_may_borrow_from_the_environ() {
    #[wsgi_app]
    fn echo(
        environ: &mut Environ,
        start_response: StartResponse<'_>,
    ) -> gateway::Result<impl Iterator<Item = std::io::Result<bytes::Bytes>>> {
        start_response("200 OK", &[])?;
        Ok(environ.input().chunks(3))
    }
    let response = Client::new(echo).post("/", "abcdefg");
    assert_eq!(response.chunks(), ["abc", "def", "g"]);
}

/// MAC-03: an error that is returned as the `Err` of any type is a failure, not an empty body.
#[test]
fn the_err_of_any_result_is_a_failure() {
    #[wsgi_app]
    fn fails(_: &mut Environ, _: StartResponse<'_>) -> Result<[String; 1], String> {
        Err("no luck".to_owned())
    }
    assert_eq!(Client::new(fails).get("/").status(), 500);
}

mod renamed {
    pub(crate) use ::gateway as inner;
}

/// MAC-06.
#[test]
fn the_crate_may_be_found_elsewhere() {
    mod gateway {}
    #[wsgi_app(crate = renamed::inner)]
    fn app(_: &mut Environ, start_response: StartResponse<'_>) -> renamed::inner::Result<[&'static str; 1]> {
        start_response("200 OK", &[])?;
        Ok(["ok"])
    }
    assert_eq!(Client::new(app).get("/").text(), "ok");
}

/// MAC-06: the expansion refers to no name that may be in scope.
#[test]
fn shadowed_names_do_no_harm() {
    #[expect(dead_code, reason = "they are there to be in the way")]
    mod in_the_way {
        use ::gateway::wsgi_app;
        type Result = ();
        struct Chunks;
        struct Clone;
        struct Application;
        #[wsgi_app]
        pub(super) fn app(
            environ: &mut ::gateway::Environ,
            start_response: ::gateway::StartResponse<'_>,
        ) -> ::gateway::Result<[String; 1]> {
            start_response("200 OK", &[])?;
            Ok([environ.path_info().to_owned()])
        }
    }
    assert_eq!(Client::new(in_the_way::app).get("/x").text(), "/x");
}

/// MAC-05.
#[test]
fn the_type_can_be_used_like_any_other() {
    fn is_sound<T: gateway::Application + Copy + std::fmt::Debug + Default>(_: T) {}
    is_sound(hello);
    assert_eq!(format!("{:?}", <hello as Default>::default()), "hello");
    let _service = Gateway::new(hello);
}

/// MAC-04.
#[test]
fn a_fn_that_is_configured_out_leaves_nothing_behind() {
    #[wsgi_app]
    #[cfg(any())]
    fn gone(_: NoSuchType) -> NoSuchType {}

    #[wsgi_app]
    #[cfg(not(any()))]
    #[deprecated = "for the test"]
    fn here(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
        start_response("200 OK", &[])?;
        Ok(["ok"])
    }
    #[expect(deprecated)]
    let client = Client::new(here);
    assert_eq!(client.get("/").text(), "ok");
}
