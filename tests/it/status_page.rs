//! The status page: the state of the pools.

use axum::Router;
use gateway::testing::Inline;
use gateway::{Gateway, Pool, Share, StatusPage};
use gateway_tests::{Gate, Server, call, until};

/// The words of the lines with this prefix.
fn lines(page: &str, first: &[&str]) -> Vec<Vec<String>> {
    let words = page.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.filter(|words| words.starts_with(&first.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())).collect()
}

/// The value of a figure of the pool.
fn figure(page: &str, pool: &str, name: &str) -> u64 {
    let found = lines(page, &[pool, name]);
    assert_eq!(found.len(), 1, "{name} of {pool} in\n{page}");
    found[0][2].parse().unwrap()
}

/// POOL-14: every figure has a line, in a fixed order and in aligned columns, whatever the names.
#[test]
fn the_page_is_a_table_for_each_pool() {
    let shop = Pool::builder().name("shop").threads(64).build().unwrap();
    let reports = Pool::builder().name("reports").threads(2).min_threads(2).queue(5).build().unwrap();
    let _sure = shop.share(Share::new().reserved_threads(4)).unwrap();
    let expected = "\
pool     figure           value  unit
shop     state            ready
shop     threads              1  of 64 threads
shop     busy                 0  threads
shop     idle                 1  threads
shop     reserved             4  threads
shop     stuck                0  threads
shop     orphaned             0  threads
shop     queued               0  of 256 places in the queue
shop     service_time         -  ms, moving average
shop     completed            0  requests
shop     shed                 0  requests
shop     expired              0  requests
shop     cancelled            0  requests
shop     would_have_shed      0  requests
shop     driven               0  requests
shop     held_drivers         0  threads
reports  state            ready
reports  threads              2  of 2 threads
reports  busy                 0  threads
reports  idle                 2  threads
reports  reserved             0  threads
reports  stuck                0  threads
reports  orphaned             0  threads
reports  queued               0  of 5 places in the queue
reports  service_time         -  ms, moving average
reports  completed            0  requests
reports  shed                 0  requests
reports  expired              0  requests
reports  cancelled            0  requests
reports  would_have_shed      0  requests
reports  driven               0  requests
reports  held_drivers         0  threads

pool  mount  seconds  thread  client
";
    assert_eq!(StatusPage::new().pool(&shop).pool(&reports).text(), expected);
}

/// POOL-14: the page takes no pool thread, so it answers while all threads are busy and the queue is full.
#[test]
fn the_page_answers_while_the_pool_is_saturated() {
    let gate = Gate::new();
    let pool = Pool::builder().name("full").threads(2).queue(1).build().unwrap();
    let router = Router::new()
        .route_service("/status", StatusPage::new().pool(&pool))
        .fallback_service(Gateway::new(gate.application()).name("slow").pool(&pool));
    let server = Server::of(router);
    let mut taken = [(); 3].map(|()| server.connect());
    for connection in &mut taken[..2] {
        connection.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        gate.await_call();
    }
    taken[2].send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until("the third request is queued", || pool.stats().queued == 1);
    assert_eq!(server.get("/a").status(), 503);

    let reply = server.get("/status");
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let page = reply.text();
    assert_eq!(lines(&page, &["full", "state"])[0][2], "saturated");
    let figures = ["threads", "busy", "idle", "queued", "completed", "shed"].map(|name| figure(&page, "full", name));
    assert_eq!(figures, [2, 2, 0, 1, 0, 1], "{page}");
    let running = lines(&page, &["full", "slow"]);
    assert_eq!(running.iter().map(|words| &*words[4]).collect::<Vec<_>>(), ["waits", "waits"], "{page}");

    gate.open();
    for connection in &mut taken {
        assert_eq!(connection.reply().text(), "ok");
    }
    until("all threads are idle", || pool.stats().busy == 0);
    let page = server.get("/status").text();
    assert_eq!([figure(&page, "full", "busy"), figure(&page, "full", "completed")], [0, 3], "{page}");
    assert!(page.ends_with("\npool  mount  seconds  thread  client\n"), "{page}");
}

/// POOL-14: requests of all pools are sorted by age, and a request whose client has disconnected is marked.
#[tokio::test(crate = "crate::bounded")]
async fn the_slowest_request_comes_first() {
    let gate = Gate::new();
    let [first, second] = ["first", "second"].map(|name| Pool::builder().name(name).build().unwrap());
    let mount = |name: &str, pool| Gateway::new(gate.application()).name(name).pool(pool);
    let (old, young) = (mount("old", &second), mount("much-younger", &first));
    let left = call(&old, "/");
    gate.begun().await;
    let _waits = call(&young, "/");
    gate.begun().await;
    drop(left);
    let [first_thread, second_thread] = [&first, &second].map(|pool| pool.running()[0].thread.clone());

    let page = StatusPage::new().pool(&first).pool(&second).text();
    let running = page.split_once("\n\n").unwrap().1.lines().collect::<Vec<_>>();
    assert_eq!(running.len(), 3, "{page}");
    // Text is aligned with the start of its column's name, and a number with the end.
    assert_eq!(running[0], "pool    mount         seconds  thread    client");
    let shown = [1, 2].map(|at| [0, 8, 31, 41].map(|from| running[at][from..].split(' ').next().unwrap()));
    assert_eq!(
        shown,
        [["second", "old", &*second_thread, "gone"], ["first", "much-younger", &*first_thread, "waits"]],
        "{page}"
    );
    assert!(
        running[1..].iter().all(|line| line[22..31].ends_with("  ") && line.as_bytes()[28].is_ascii_digit()),
        "{page}"
    );
    assert_eq!([figure(&page, "second", "orphaned"), figure(&page, "first", "orphaned")], [1, 0]);
}

/// HEAD gets the head of GET without a body; other methods are refused.
#[test]
fn the_page_takes_get_and_head_alone() {
    let pool = Pool::builder().build().unwrap();
    let server = Server::of(Router::new().route_service("/status", StatusPage::new().pool(&pool)));
    let mut connection = server.connect();
    let reply = connection.request_head("/status");
    assert_eq!((reply.status(), reply.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = connection.request(&format!("{method} /status HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!((reply.status(), reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

/// An application may show the page as a part of its own page.
#[test]
fn an_application_may_show_the_page() {
    let pool = Pool::builder().name("shown").build().unwrap();
    let page = StatusPage::new().pool(&pool);
    let app = gateway::application_fn(move |_, start_response| {
        start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
        Ok(gateway::Chunks::new([page.text()]))
    });
    let response = gateway::testing::Client::of(Gateway::new(app).executor(Inline::new())).get("/");
    assert_eq!(figure(&response.text(), "shown", "busy"), 0);
}

/// The reply to a GET with this `Accept`, and its content type.
fn accepting(server: &Server, accept: &str) -> (String, String) {
    let reply = server.connect().request(&format!("GET /status HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n"));
    assert_eq!((reply.status(), reply.header("vary")), (200, Some("accept")));
    (reply.header("content-type").unwrap().to_owned(), reply.text())
}

/// POOL-14: the page and the JSON contain each mount that has had a job, its errors, and its running jobs. Names are
/// escaped.
#[test]
fn browsers_get_a_page_and_programs_get_json() {
    let gate = Gate::new();
    let pool = Pool::builder().name("<shop> & \"co\"").threads(2).build().unwrap();
    let status = StatusPage::new().pool(&pool);
    let fails = gateway::application_fn(|_, _| Err(gateway::Error::new("trouble")));
    let router = Router::new()
        .route_service("/status", status)
        .route_service("/fails", Gateway::new(fails).name("<script>alert('\\')</script>").pool(&pool))
        .fallback_service(Gateway::new(gate.application()).name("slow").pool(&pool));
    let server = Server::of(router);
    for _ in 0..2 {
        assert_eq!(server.get("/fails").status(), 500);
    }
    let mut taken = server.connect();
    taken.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    gate.await_call();
    until("one thread is busy", || pool.stats().busy == 1);
    // The request is counted after the response was sent.
    until("two requests are counted", || accepting(&server, "application/json").1.contains("\"requests\":2"));

    let (kind, json) = accepting(&server, "application/json");
    assert_eq!(kind, "application/json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let shown = &json["pools"][0];
    assert_eq!((&shown["name"], &shown["busy"]), (&"<shop> & \"co\"".into(), &1.into()));
    let failing = serde_json::json!({"name": "<script>alert('\\')</script>", "requests": 2, "errors": 2});
    assert_eq!(shown["mounts"], serde_json::json!([failing, {"name": "slow", "requests": 0, "errors": 0}]));
    assert_eq!((&shown["running"][0]["mount"], &shown["running"][0]["client"]), (&"slow".into(), &"waits".into()));
    assert!(json["version"].is_string() && json["uptime_seconds"].is_u64(), "{json}");

    let (kind, page) = accepting(&server, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(page.contains("<h2>&lt;shop&gt; &amp; &quot;co&quot;: <span class=\"good\">ready</span></h2>"), "{page}");
    assert!(page.contains("<td class=\"\">&lt;script&gt;alert(&#39;\\&#39;)&lt;/script&gt;</td>"), "{page}");
    for forbidden in ["<script", "http:", "https:", "src=", "href="] {
        assert!(!page.contains(forbidden), "{forbidden} in {page}");
    }
    assert!(page.contains("name=\"viewport\"") && page.contains("prefers-color-scheme"), "{page}");

    let (kind, text) = accepting(&server, "*/*");
    assert!(kind.starts_with("text/plain") && text.starts_with("pool "), "{text}");
    gate.open();
    assert_eq!(taken.reply().text(), "ok");
}
