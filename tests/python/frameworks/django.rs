//! Django: its admin, forms, links and failures.

use gateway::testing::Client;
use gateway_tests::Reply;
use serde_json::json;

use crate::browser::{Browser, json as said};
use crate::environment::{app, board, serve};

/// The CSRF token in a form.
fn token(page: &Reply) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"csrfmiddlewaretoken\" value=\"").expect("a token");
    rest.split_once('"').expect("its end").0.to_owned()
}

/// Submits the login form of the admin.
fn log_in(browser: &mut Browser, prefix: &str, password: &str) -> Reply {
    let target = format!("{prefix}/admin/login/?next={prefix}/admin/");
    let page = browser.get(&target);
    assert_eq!(page.status(), 200);
    let fields = [("csrfmiddlewaretoken", &*token(&page)), ("username", "admin"), ("password", password)];
    browser.post(&target, &fields)
}

/// PY-15: the login, with its token and its cookies, at `/` and below a prefix.
#[test]
fn an_administrator_logs_in() {
    let server = serve(board());
    for prefix in ["", "/app"] {
        let mut browser = Browser::new(&server);
        let admin = format!("{prefix}/admin/");
        let stranger = browser.get(&admin);
        assert_eq!(stranger.header("location"), Some(format!("{admin}login/?next={admin}").as_str()));
        let wrong = log_in(&mut browser, prefix, "wrong");
        assert_eq!(wrong.status(), 200);
        assert!(wrong.text().contains("Please enter the correct username and password"));
        let right = log_in(&mut browser, prefix, "correct horse");
        assert_eq!((right.status(), right.header("location")), (302, Some(admin.as_str())));
        let index = browser.get(&admin);
        assert_eq!(index.status(), 200);
        assert!(index.text().contains("Site administration"));
        assert!(index.text().contains(&format!("href=\"{admin}auth/user/\"")));
        assert!(browser.get(&format!("{admin}auth/user/")).text().contains("admin@test.local"));
        assert_eq!(browser.get(&format!("{prefix}/private/")).text(), "for admin");
        let out = [("csrfmiddlewaretoken", &*token(&index))];
        assert_eq!(browser.post(&format!("{admin}logout/"), &out).status(), 200);
        assert_eq!(browser.get(&admin).status(), 302);
    }
}

/// PY-15.
#[test]
fn a_form_is_taken_with_its_token_alone() {
    let server = serve(board());
    let mut browser = Browser::new(&server);
    let page = browser.get("/app/form/");
    assert!(page.text().contains("action=\"/app/form/\""));
    assert_eq!(browser.post("/app/form/", &[("text", "no token")]).status(), 403);
    assert_eq!(browser.post("/app/form/", &[("text", "x"), ("csrfmiddlewaretoken", &"a".repeat(64))]).status(), 403);
    let fields = [("text", "with <token> €"), ("csrfmiddlewaretoken", &*token(&page))];
    assert!(browser.post("/app/form/", &fields).text().ends_with("with &lt;token&gt; €"));
    let mut other = Browser::new(&server);
    assert_eq!(other.post("/app/form/", &fields).status(), 403);
}

/// PY-15, MNT-04: every link that Django generates contains the prefix of the mount.
#[test]
fn links_and_redirects_have_the_prefix_of_the_mount() {
    let server = serve(board());
    for prefix in ["/app", "", "/app"] {
        let mut browser = Browser::new(&server);
        let links = said(&browser.get(&format!("{prefix}/links/")));
        let expected = json!({
            "form": format!("{prefix}/form/"),
            "path": format!("{prefix}/links/"),
            "inner": "/links/",
            "absolute": format!("http://test.local{prefix}/form/"),
        });
        assert_eq!(links, expected);
        for (target, location) in [
            ("/links/?to=form", "/form/"),
            ("/private/", &format!("/admin/login/?next={prefix}/private/")),
            // Django's own redirect to the path with a final slash.
            ("/form", "/form/"),
        ] {
            let reply = browser.get(&format!("{prefix}{target}"));
            assert_eq!(reply.header("location"), Some(format!("{prefix}{location}").as_str()), "{target}");
        }
    }
}

/// PY-15: the client sees Django's own error pages, and Django's log contains the details.
#[test]
fn what_goes_wrong_is_a_page_of_django() {
    let server = serve(board());
    let mut browser = Browser::new(&server);
    let missing = browser.get("/nowhere/");
    assert_eq!(missing.status(), 404);
    assert!(missing.text().contains("Not Found"));
    let failed = browser.get("/crash/");
    assert_eq!(failed.status(), 500);
    assert!(failed.text().contains("Server Error (500)") && !failed.text().contains("secret"));
    let mut stranger = server.connect();
    assert_eq!(stranger.request("GET /form/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n").status(), 400);
    let log = Client::new(app("board.project", "board.project.log")).get("/").text();
    assert!(log.contains("RuntimeError: a secret of the board") && log.contains("in crash"), "{log}");
}
