//! The code in the book, as doctests.

macro_rules! pages {
    ($($name:ident: $file:literal;)+) => {
        $(#[doc = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), $file))] mod $name {})+
    };
}

pages! {
    introduction: "/../book/src/introduction.md";
    applications: "/../book/src/applications.md";
    request: "/../book/src/request.md";
    worker: "/../book/src/worker.md";
    streaming: "/../book/src/streaming.md";
    failures: "/../book/src/failures.md";
    attribute: "/../book/src/macro.md";
    mounting: "/../book/src/mounting.md";
    migration: "/../book/src/migration.md";
    serving: "/../book/src/serving.md";
    configuration: "/../book/src/configuration.md";
    production: "/../book/src/production.md";
    scaling: "/../book/src/scaling.md";
    testing: "/../book/src/testing.md";
    coming_from: "/../book/src/coming-from.md";
}

// What takes CPython.
#[cfg(feature = "python")]
pages! {
    python: "/../book/src/python.md";
}
