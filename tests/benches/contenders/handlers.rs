//! What the handlers of the axum contenders do that block.

use std::sync::LazyLock;
use std::thread;

use axum::extract::RawQuery;
use axum::http::HeaderMap;

use crate::work;

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| work::numbered("x-header-"));

pub(crate) fn read(RawQuery(query): RawQuery, headers: &HeaderMap) -> String {
    let names = &NAMES[..work::count(query.as_deref())];
    names.iter().filter_map(|name| headers.get(name)).map(|value| value.len()).sum::<usize>().to_string()
}

pub(crate) fn sleep() -> &'static str {
    thread::sleep(work::PAUSE);
    work::HELLO
}
