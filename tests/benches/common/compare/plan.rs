//! Plans: the servers that are measured together, and the load of each.

use crate::contender::Contender;

/// The requests that wrk sends to a server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// The number of header fields of 16 bytes, in addition to the usual fields.
    pub(crate) fields: usize,
    /// The length of the request body.
    pub(crate) body: usize,
    /// The number of rows from which the request selects one at random.
    pub(crate) rows: usize,
    /// The length of the body of a correct response.
    pub(crate) answer: u64,
}

impl Load {
    pub(crate) fn new(path: &str, answer: u64) -> Self {
        Self { path: path.to_owned(), connections: 64, fields: 0, body: 0, rows: 0, answer }
    }

    pub(crate) fn on(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// One such request as bytes.
    pub(crate) fn request(&self) -> Vec<u8> {
        let method = if self.body > 0 { "POST" } else { "GET" };
        let query = if self.rows > 0 { "?id=1" } else { "" };
        let mut request = format!("{method} {}{query} HTTP/1.1\r\nHost: peers.test\r\n", self.path);
        for number in 1..=self.fields {
            request.push_str(&format!("X-Header-{number:02}: sixteen letters.\r\n"));
        }
        if self.body > 0 {
            request.push_str(&format!("Content-Length: {}\r\n", self.body));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.resize(request.len() + self.body, b'x');
        request
    }
}

/// One server under one load.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) contender: Contender,
    /// The name of the row in tables.
    pub(crate) row: String,
    /// The position on the axis of a curve.
    pub(crate) at: Option<u64>,
    /// The number of runtime threads, if it is not the default of the server.
    pub(crate) runtime: Option<usize>,
    pub(crate) load: Load,
}

impl Entry {
    pub(crate) fn new(contender: Contender, at: Option<u64>, load: Load) -> Self {
        Self { contender, row: contender.title(), at, runtime: None, load }
    }
}

/// The entries that are measured together, in alternating rounds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The name of the axis, if the plan is a curve.
    pub(crate) axis: Option<&'static str>,
    pub(crate) entries: Vec<Entry>,
}

impl Plan {
    /// A plan of all the given contenders under the same load.
    pub(crate) fn table(
        name: &'static str,
        about: &'static str,
        contenders: impl IntoIterator<Item = Contender>,
        load: &Load,
    ) -> Self {
        let entries = contenders.into_iter().map(|contender| Entry::new(contender, None, load.clone()));
        Self { name, about, axis: None, entries: entries.collect() }
    }
}
