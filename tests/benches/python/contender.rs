//! The servers that are compared.

use crate::compare::results::Row;
use crate::compare::target::best;

/// A server with a number of threads that call the application. All servers use the same modules, in one interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) threads: usize,
    /// The module of the application; the application is its attribute `app`.
    pub(crate) module: &'static str,
}

const PLAIN: &str = "bench_app";
const FLASK: &str = "bench_flask";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Granian,
    Gunicorn,
    Waitress,
    Uwsgi,
    /// uWSGI with its HTTP router, a separate process, in front.
    UwsgiRouted,
    Cheroot,
    Twisted,
    /// Its one thread runs the application inside the event loop, and so does `FastWSGI`'s: they stop when it blocks.
    Bjoern,
    FastWsgi,
    Gateway,
}

impl Kind {
    pub(crate) const fn on(self, threads: usize) -> Contender {
        Contender { kind: self, threads, module: PLAIN }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Granian => "granian",
            Self::Gunicorn => "gunicorn",
            Self::Waitress => "waitress",
            Self::Uwsgi => "uwsgi",
            Self::UwsgiRouted => "uwsgi-routed",
            Self::Cheroot => "cheroot",
            Self::Twisted => "twisted",
            Self::Bjoern => "bjoern",
            Self::FastWsgi => "fastwsgi",
            Self::Gateway => "gateway",
        }
    }

    /// The name of the server in tables, without its threads.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Gunicorn => "gunicorn gthread",
            Self::UwsgiRouted => "uwsgi, routed",
            Self::Twisted => "Twisted",
            Self::FastWsgi => "FastWSGI",
            other => other.name(),
        }
    }
}

impl Contender {
    /// All servers that do every kind of work, each with its usual number of threads, and two of them with several
    /// numbers.
    pub(crate) const ALL: [Self; 14] = [
        Kind::Granian.on(1),
        Kind::Granian.on(4),
        Kind::Granian.on(8),
        Kind::Gunicorn.on(4),
        Kind::Waitress.on(4),
        Kind::Uwsgi.on(4),
        Kind::UwsgiRouted.on(4),
        Kind::Cheroot.on(10),
        Kind::Twisted.on(10),
        Kind::Bjoern.on(1),
        Kind::FastWsgi.on(1),
        Kind::Gateway.on(1),
        Kind::Gateway.on(8),
        Kind::Gateway.on(64),
    ];

    /// The same server with Flask's application.
    pub(crate) fn with_flask(self) -> Self {
        Self { module: FLASK, ..self }
    }

    pub(crate) fn program(self) -> &'static str {
        self.kind.name()
    }

    /// The name of the server on the command line.
    pub(crate) fn name(self) -> String {
        format!("{}-{}", self.kind.name(), self.threads)
    }

    /// The name of the server in tables.
    pub(crate) fn title(self) -> String {
        let (title, threads) = (self.kind.title(), self.threads);
        if threads == 1 { format!("{title}, 1 thread") } else { format!("{title}, {threads} threads") }
    }

    /// Whether a name on the command line selects this server: by its kind, or by its kind and number of threads.
    pub(crate) fn is_called(self, name: &str) -> bool {
        name == self.name() || name == self.kind.name()
    }
}

/// The row of a sheet with which the other rows are compared: granian's row with the most requests per second.
pub(crate) fn yardstick(rows: &[Row]) -> String {
    best(rows, Kind::Granian.name()).map_or_else(|| Kind::Granian.name().to_owned(), |row| row.name.clone())
}

/// The servers that are drawn in charts with many rows; this bench has no such chart.
pub(crate) fn drawn() -> Vec<String> {
    [Kind::Granian, Kind::Gateway].map(|kind| kind.name().to_owned()).into()
}
