//! What is measured together, and what each server is asked for meanwhile.

use crate::contender::Contender;

/// What wrk asks of one server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// How many fields of 16 bytes the request has beside its own.
    pub(crate) fields: usize,
    /// How long its body is.
    pub(crate) body: usize,
    /// From how many rows it chooses one.
    pub(crate) rows: usize,
    /// How long the body of a right answer is.
    pub(crate) answer: u64,
}

impl Load {
    pub(crate) fn new(path: &str, answer: u64) -> Self {
        Self { path: path.to_owned(), connections: 64, fields: 0, body: 0, rows: 0, answer }
    }

    pub(crate) fn on(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// One such request, byte by byte.
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
    /// What the tables call it.
    pub(crate) row: String,
    /// Where on the axis of a curve it is.
    pub(crate) at: Option<u64>,
    /// How many threads its runtime has, if not as many as it has by itself.
    pub(crate) runtime: Option<usize>,
    pub(crate) load: Load,
}

impl Entry {
    pub(crate) fn new(contender: Contender, at: Option<u64>, load: Load) -> Self {
        Self { contender, row: contender.title(), at, runtime: None, load }
    }
}

/// What is measured together, in alternating rounds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What grows, if something does.
    pub(crate) axis: Option<&'static str>,
    pub(crate) entries: Vec<Entry>,
}

impl Plan {
    /// All of those under the same load.
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
