//! The tests of `api.rs` and of `api_axum.rs`.

use std::sync::OnceLock;

use gateway::testing::{Client, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use r2d2_sqlite::SqliteConnectionManager;
use serde_json::{Value, json};

use super::{Database, app_under_test};

struct Api {
    client: Client,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Api {
    /// A client that sends the token.
    fn new() -> Self {
        // A process has one recorder.
        static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
        let metrics = METRICS.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone();
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(SqliteConnectionManager::file(folder.path().join("test.db"))).unwrap();
        let client = Client::router(app_under_test(database.clone(), metrics));
        Self { client: client.default_header("authorization", "Bearer sesame"), database, _folder: folder }
    }

    fn create(&self, note: &Value) -> Response {
        self.client.request("POST", "/notes").json(note).send()
    }

    /// The titles of a list.
    fn titles(&self, target: &str) -> Vec<String> {
        let list: Vec<Value> = self.client.get(target).json();
        list.iter().map(|note| note["title"].as_str().unwrap().to_owned()).collect()
    }
}

fn error(response: &Response) -> (u16, Value) {
    (response.status().as_u16(), response.json::<Value>()["error"].clone())
}

#[test]
fn a_note_is_created_read_changed_and_removed() {
    let api = Api::new();
    let created = api.create(&json!({ "title": "tea" }));
    assert_eq!((created.status().as_u16(), created.headers()["location"].to_str().unwrap()), (201, "/notes/1"));
    assert_eq!(created.json::<Value>(), json!({ "id": 1, "title": "tea", "done": false }));
    let put = |id: u32| {
        api.client.request("PUT", &format!("/notes/{id}")).json(&json!({ "title": "milk", "done": true })).send()
    };
    assert_eq!(put(1).json::<Value>(), json!({ "id": 1, "title": "milk", "done": true }));
    assert_eq!(api.client.get("/notes/1").json::<Value>(), json!({ "id": 1, "title": "milk", "done": true }));
    let remove = || api.client.request("DELETE", "/notes/1").send();
    assert_eq!(remove().status(), 204);
    for response in [remove(), put(1), api.client.get("/notes/1")] {
        assert_eq!(error(&response), (404, json!("there is no such note")));
    }
}

#[test]
fn a_list_is_searched_and_in_pages() {
    let api = Api::new();
    for number in 1..=25 {
        api.create(&json!({ "title": format!("note {number}") }));
    }
    assert_eq!(api.titles("/notes").len(), 20);
    assert_eq!(api.titles("/notes?offset=23"), ["note 24", "note 25"]);
    assert_eq!(api.titles("/notes?search=2&limit=2&offset=1"), ["note 12", "note 20"]);
    assert_eq!(api.titles("/notes?search=%25"), [""; 0]);
    assert_eq!(api.client.get("/notes?limit=many").status(), 400);
}

#[test]
fn what_is_no_note_is_refused() {
    let api = Api::new();
    assert_eq!(error(&api.create(&json!({ "title": " " }))), (422, json!("the title is empty")));
    assert_eq!(api.create(&json!({ "done": true })).status(), 422);
    assert_eq!(api.client.post("/notes", "{}").status(), 415);
    assert_eq!(api.client.get("/notes/x").status(), 400);
    assert_eq!(api.client.request("PATCH", "/notes/1").send().status(), 405);
    assert_eq!(api.titles("/notes"), [""; 0]);
}

#[test]
fn the_token_is_required_everywhere() {
    let api = Api::new();
    for (method, target) in [("GET", "/notes"), ("POST", "/notes"), ("DELETE", "/notes/1"), ("GET", "/metrics")] {
        for token in ["", "Bearer ", "Bearer open", "Basic sesame", "sesame"] {
            let response = api.client.request(method, target).header("authorization", token).send();
            assert_eq!(error(&response), (401, json!("a bearer token is required")), "{method} {target} {token}");
        }
    }
}

#[test]
fn a_preflight_of_another_origin_needs_no_token() {
    let api = Api::new();
    let preflight = api.client.request("OPTIONS", "/notes").header("authorization", "");
    let headers = preflight
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send();
    assert_eq!(headers.status(), 200);
    assert_eq!(headers.headers()["access-control-allow-origin"], "*");
    assert_eq!(headers.headers()["access-control-allow-headers"], "authorization,content-type");
    let read = api.client.request("GET", "/notes").header("origin", "https://app.example").send();
    assert_eq!(read.headers()["access-control-allow-origin"], "*");
}

#[test]
fn a_response_has_the_id_of_its_request() {
    let api = Api::new();
    let sent = api.client.request("GET", "/notes").header("x-request-id", "abc-1").send();
    assert_eq!(sent.headers()["x-request-id"], "abc-1");
    let (first, second) = (api.client.get("/notes"), api.client.get("/notes"));
    assert_ne!(first.headers()["x-request-id"], second.headers()["x-request-id"]);
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let api = Api::new();
    api.client.get("/notes/4711");
    let metrics = api.client.get("/metrics").text();
    let of_route = |line: &&str| line.contains("_requests_total{") && line.contains(r#"route="/notes/{id}""#);
    assert!(metrics.lines().filter(of_route).any(|line| line.contains(r#"status="4"#)), "{metrics}");
    // The figures are numbers, too, and may have these digits.
    assert!(!metrics.contains("/4711"), "{metrics}");
}

#[test]
fn a_failure_of_the_database_is_not_shown() {
    let api = Api::new();
    api.database.get().unwrap().execute_batch("DROP TABLE notes").unwrap();
    assert_eq!(error(&api.client.get("/notes")), (500, json!("Internal Server Error")));
}
