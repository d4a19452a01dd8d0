//! The metrics of the feature `metrics`.

use std::collections::BTreeMap;

use gateway::testing::{Client, Inline};
use gateway::{Chunks, Gateway, Pool, application_fn};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// The metrics that were recorded while `run` ran on this thread, by name and labels.
fn recorded(run: impl FnOnce()) -> BTreeMap<String, DebugValue> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, run);
    let metrics = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    });
    metrics.collect()
}

fn count(value: &DebugValue) -> usize {
    match value {
        DebugValue::Histogram(values) => values.len(),
        other => panic!("{other:?}"),
    }
}

/// Each request records its outcome and its durations, by mount.
#[test]
fn requests_are_counted_by_mount_and_outcome() {
    let app = application_fn(|environ, start_response| {
        if environ.path_info() == "/fails" {
            return Err(gateway::Error::new("trouble"));
        }
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["12345"]))
    });
    let client = Client::of(Gateway::new(app).name("shop").executor(Inline::new()));
    let recorded = recorded(|| {
        for path in ["/", "/", "/fails"] {
            client.get(path);
        }
    });
    assert_eq!(recorded["gateway_requests_total{mount=shop,outcome=complete,status=2xx}"], DebugValue::Counter(2));
    assert_eq!(recorded["gateway_requests_total{mount=shop,outcome=error,status=5xx}"], DebugValue::Counter(1));
    // The body of a failure's answer counts, too, because it was sent.
    let own = "Internal Server Error\n".len();
    assert_eq!(recorded["gateway_response_bytes_total{mount=shop}"], DebugValue::Counter(10 + own as u64));
    assert_eq!(count(&recorded["gateway_request_seconds{mount=shop}"]), 3);
    assert_eq!(count(&recorded["gateway_queue_wait_seconds{mount=shop}"]), 3);
    assert_eq!(count(&recorded["gateway_run_seconds{mount=shop}"]), 3);
}

/// Routed requests have the pattern of their route as a label, so the program bounds the number of series.
#[test]
fn requests_are_counted_by_route() {
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt as _;

    let app = application_fn(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Chunks::new(["12345"]))
    });
    let gateway = Gateway::new(app).name("shop").executor(Inline::new());
    let router = Router::new().route("/users/{id}", get(gateway.clone())).fallback_service(gateway);
    let recorded = recorded(|| {
        for path in ["/users/7", "/users/8", "/other"] {
            let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
            let response = gateway_tests::block_on(router.clone().oneshot(request)).unwrap();
            gateway_tests::block_on(axum::body::to_bytes(response.into_body(), 100)).unwrap();
        }
    });
    let route = "mount=shop,route=/users/{id}";
    assert_eq!(
        recorded[&format!("gateway_requests_total{{{route},outcome=complete,status=2xx}}")],
        DebugValue::Counter(2)
    );
    assert_eq!(recorded["gateway_requests_total{mount=shop,outcome=complete,status=2xx}"], DebugValue::Counter(1));
    assert_eq!(recorded[&format!("gateway_response_bytes_total{{{route}}}")], DebugValue::Counter(10));
    for name in ["gateway_request_seconds", "gateway_queue_wait_seconds", "gateway_run_seconds"] {
        assert_eq!(count(&recorded[&format!("{name}{{{route}}}")]), 2);
        assert_eq!(count(&recorded[&format!("{name}{{mount=shop}}")]), 1);
    }
}

/// Every metric has a description, of the kind that it is recorded as.
#[test]
fn every_metric_is_described() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let app = application_fn(|_, _| Err(gateway::Error::new("trouble")));
        Client::of(Gateway::new(app).executor(Inline::new())).get("/");
        Pool::builder().build().unwrap().publish_metrics();
    });
    let metrics = snapshotter.snapshot().into_vec();
    assert_eq!(metrics.len(), 5 + 15);
    for (key, _, text, _) in metrics {
        assert!(text.is_some_and(|text| text.ends_with('.')), "{} has no description", key.key().name());
    }
}

/// A request without a response has no status class.
#[test]
fn a_request_without_a_response_has_no_status() {
    let app = application_fn(|_, _| Ok(Chunks::empty()));
    let mut gateway = Gateway::new(app).name("shop").executor(Inline::new());
    let recorded = recorded(|| {
        let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
        drop(tower::Service::call(&mut gateway, request));
    });
    assert_eq!(recorded["gateway_requests_total{mount=shop,outcome=client gone}"], DebugValue::Counter(1));
}

#[test]
fn a_pool_publishes_its_figures() {
    let pool = Pool::builder().threads(3).min_threads(2).queue(7).name("reports").build().unwrap();
    let recorded = recorded(|| pool.publish_metrics());
    let gauge = |name: &str| match recorded[&format!("gateway_pool_{name}")] {
        DebugValue::Gauge(value) => value.into_inner(),
        ref other => panic!("{other:?}"),
    };
    for (name, value) in [
        ("threads{pool=reports,state=busy}", 0.0),
        ("threads{pool=reports,state=idle}", 2.0),
        ("threads_stuck{pool=reports}", 0.0),
        ("threads_max{pool=reports}", 3.0),
        ("queue_depth{pool=reports}", 0.0),
        ("queue_limit{pool=reports}", 7.0),
    ] {
        assert!((gauge(name) - value).abs() < f64::EPSILON, "{name} is {}", gauge(name));
    }
    assert_eq!(recorded["gateway_pool_shed_total{pool=reports}"], DebugValue::Counter(0));
}
