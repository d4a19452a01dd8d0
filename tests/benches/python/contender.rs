//! Who is compared.

use crate::compare::results::Row;
use crate::compare::target::best;

/// A server with so many threads that call the application. All of them serve the same modules, in one interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) threads: usize,
    /// The module of its application, which is `app` in there.
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
    /// With its router, which is a process of its own, in front.
    UwsgiRouted,
    Cheroot,
    Twisted,
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
            Self::Gateway => "gateway",
        }
    }

    /// What tables call it, but for its threads.
    fn title(self) -> &'static str {
        match self {
            Self::Gunicorn => "gunicorn gthread",
            Self::UwsgiRouted => "uwsgi, routed",
            Self::Twisted => "Twisted",
            other => other.name(),
        }
    }
}

impl Contender {
    /// All that do every kind of work, each with the threads it usually has, and two of them with several numbers.
    pub(crate) const ALL: [Self; 12] = [
        Kind::Granian.on(1),
        Kind::Granian.on(4),
        Kind::Granian.on(8),
        Kind::Gunicorn.on(4),
        Kind::Waitress.on(4),
        Kind::Uwsgi.on(4),
        Kind::UwsgiRouted.on(4),
        Kind::Cheroot.on(10),
        Kind::Twisted.on(10),
        Kind::Gateway.on(1),
        Kind::Gateway.on(8),
        Kind::Gateway.on(64),
    ];

    /// The same with Flask's application.
    pub(crate) fn with_flask(self) -> Self {
        Self { module: FLASK, ..self }
    }

    pub(crate) fn program(self) -> &'static str {
        self.kind.name()
    }

    /// What it is called by who wants to measure it.
    pub(crate) fn name(self) -> String {
        format!("{}-{}", self.kind.name(), self.threads)
    }

    /// What tables call it.
    pub(crate) fn title(self) -> String {
        let (title, threads) = (self.kind.title(), self.threads);
        if threads == 1 { format!("{title}, 1 thread") } else { format!("{title}, {threads} threads") }
    }

    /// Whether someone means it who names it so: by its kind, or by kind and threads.
    pub(crate) fn is_called(self, name: &str) -> bool {
        name == self.name() || name == self.kind.name()
    }
}

/// The row that the others of a sheet are held against: granian's best.
pub(crate) fn yardstick(rows: &[Row]) -> String {
    best(rows, Kind::Granian.name()).map_or_else(|| Kind::Granian.name().to_owned(), |row| row.name.clone())
}

/// Whose lines are drawn where there are many, which is nowhere.
pub(crate) fn drawn() -> Vec<String> {
    [Kind::Granian, Kind::Gateway].map(|kind| kind.name().to_owned()).into()
}
