//! The servers that are compared.

use crate::compare::results::Row;

/// A server. All servers do the same work on the same paths; see the folder `contenders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    AsyncAxum,
    /// `spawn_blocking`, with each body in one piece.
    Plain,
    /// `spawn_blocking`, with each body through a channel.
    Streamed,
    InPlace,
    Actix,
    Rouille,
    /// Only a hop to a thread, with this number of threads: a lower bound for the cost of the gateway.
    Bare(usize),
    /// The gateway with this number of threads.
    Gateway(usize),
    /// The same without drivers: each request takes a hop to a thread, and back.
    Hop(usize),
    /// The gateway under `axum::serve`, which has no drivers either.
    UnderAxum,
}

/// The server with which the others are compared.
pub(crate) const YARDSTICK: Contender = Contender::AsyncAxum;

/// The gateway with its defaults.
pub(crate) const GATEWAY: Contender = Contender::Gateway(64);

/// The gateway with its defaults, but without drivers.
pub(crate) const HOP: Contender = Contender::Hop(64);

/// The lower bound for the cost of a hop.
pub(crate) const FLOOR: Contender = Contender::Bare(1);

/// The row of a sheet with which the other rows are compared.
pub(crate) fn yardstick(_: &[Row]) -> String {
    YARDSTICK.title()
}

/// The servers that are drawn in charts with many rows.
pub(crate) fn drawn() -> Vec<String> {
    [YARDSTICK, Contender::Plain, GATEWAY].map(Contender::title).into()
}

impl Contender {
    /// All servers, each of which can do every kind of work.
    pub(crate) const ALL: [Self; 13] = [
        Self::AsyncAxum,
        Self::Plain,
        Self::Streamed,
        Self::InPlace,
        Self::Actix,
        Self::Rouille,
        Self::Bare(1),
        Self::Gateway(1),
        Self::Gateway(2),
        Self::Gateway(16),
        Self::Gateway(64),
        Self::Hop(64),
        Self::UnderAxum,
    ];

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::AsyncAxum => "async_axum",
            Self::Plain => "spawn_blocking_plain",
            Self::Streamed => "spawn_blocking_streamed",
            Self::InPlace => "block_in_place",
            Self::Actix => "actix",
            Self::Rouille => "rouille",
            Self::Bare(_) => "bare_hop",
            Self::Gateway(_) | Self::Hop(_) | Self::UnderAxum => "gateway",
        }
    }

    /// The name of the server on the command line.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare(threads) | Self::Gateway(threads) => format!("{}-{threads}", self.program()),
            Self::Hop(threads) => format!("hop-{threads}"),
            Self::UnderAxum => "under-axum".to_owned(),
            other => other.program().to_owned(),
        }
    }

    /// The name of the server in tables.
    pub(crate) fn title(self) -> String {
        match self {
            Self::AsyncAxum => "async axum".to_owned(),
            Self::Plain => "spawn_blocking".to_owned(),
            Self::Streamed => "spawn_blocking, streamed".to_owned(),
            Self::InPlace => "block_in_place".to_owned(),
            Self::Actix => "actix web::block".to_owned(),
            Self::Rouille => "rouille".to_owned(),
            Self::Bare(1) => "bare hop, 1 thread".to_owned(),
            Self::Bare(threads) => format!("bare hop, {threads} threads"),
            Self::Gateway(1) => "gateway, 1 thread".to_owned(),
            Self::Gateway(threads) => format!("gateway, {threads} threads"),
            Self::Hop(threads) => format!("without drivers, {threads} threads"),
            Self::UnderAxum => "under axum::serve, 64 threads".to_owned(),
        }
    }

    /// Whether a name on the command line selects this server: by its program, or by its program and number of threads.
    pub(crate) fn is_called(self, name: &str) -> bool {
        name == self.name() || name == self.program()
    }
}
