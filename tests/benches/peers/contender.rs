//! Who is compared.

use crate::compare::results::Row;

/// A server. All of them do the same work below the same paths; see the folder `contenders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    AsyncAxum,
    /// `spawn_blocking`, each body in one piece.
    Plain,
    /// `spawn_blocking`, each body through a channel.
    Streamed,
    InPlace,
    Actix,
    Rouille,
    /// A hop and nothing else, to so many threads: what the gateway cannot be faster than.
    Bare(usize),
    /// With so many threads.
    Gateway(usize),
}

/// What the others are held against.
pub(crate) const YARDSTICK: Contender = Contender::AsyncAxum;

/// The gateway as it comes.
pub(crate) const GATEWAY: Contender = Contender::Gateway(64);

/// What no hop can beat.
pub(crate) const FLOOR: Contender = Contender::Bare(1);

/// The row that the others of a sheet are held against.
pub(crate) fn yardstick(_: &[Row]) -> String {
    YARDSTICK.title()
}

/// Whose lines are drawn where there are many.
pub(crate) fn drawn() -> Vec<String> {
    [YARDSTICK, Contender::Plain, GATEWAY].map(Contender::title).into()
}

impl Contender {
    /// All that do every kind of work.
    pub(crate) const ALL: [Self; 11] = [
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
            Self::Gateway(_) => "gateway",
        }
    }

    /// What it is called by who wants to measure it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare(threads) | Self::Gateway(threads) => format!("{}-{threads}", self.program()),
            other => other.program().to_owned(),
        }
    }

    /// What tables call it.
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
        }
    }

    /// Whether someone means it who names it so: by its program, or by program and threads.
    pub(crate) fn is_called(self, name: &str) -> bool {
        name == self.name() || name == self.program()
    }
}
