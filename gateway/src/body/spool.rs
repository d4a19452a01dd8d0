//! Request bodies that are read in full before their jobs are handed over.
//!
//! Threads: runtime; files are written on the runtime's threads for blocking work, and read by the application.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::body::source::Piece;
use crate::log;
use crate::refusal::Refusal;

/// Where mounts store request bodies until they are complete; see [`Gateway::spool`](crate::Gateway::spool).
///
/// The first bytes of each body stay in memory, the rest goes to an unlinked temporary file. One quota bounds all
/// bodies together, in memory and on disk: a request that exceeds it is answered with 503, at once if its declared
/// length does not fit. A body returns its quota when the application drops its input. In the spool of a pool, a body
/// that exceeds the quota [waits](crate::PoolBuilder::upload_spool) first.
///
/// Clones share the quota, and several mounts may share a spool.
///
/// # Example
///
/// ```
/// use gateway::{Gateway, Spool};
///
/// # fn main() -> std::io::Result<()> {
/// # let app = gateway::application_fn(|_, _| Ok(gateway::Chunks::empty()));
/// let spool = Spool::builder().memory(256 * 1024).total(4 << 30).build()?;
/// let gateway = Gateway::new(app).body_limit(100 << 20).spool(&spool);
/// # drop(gateway);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Spool {
    quota: Arc<Quota>,
}

#[derive(Debug)]
struct Quota {
    settings: SpoolBuilder,
    /// The bytes reserved by all bodies.
    taken: AtomicU64,
    /// A body has returned its quota.
    freed: Notify,
}

/// Settings of a [`Spool`]. Created by [`Spool::builder`].
#[derive(Debug, Clone)]
pub struct SpoolBuilder {
    memory: usize,
    total: u64,
    directory: PathBuf,
}

impl Spool {
    /// Settings for a new spool, with their defaults.
    pub fn builder() -> SpoolBuilder {
        SpoolBuilder { memory: 512 * 1024, total: 1 << 30, directory: std::env::temp_dir() }
    }

    /// The most bytes that all bodies together may take; see [`SpoolBuilder::total`].
    pub fn total(&self) -> u64 {
        self.quota.settings.total
    }

    /// The bytes that all bodies take now.
    pub fn taken(&self) -> u64 {
        self.quota.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn memory(&self) -> usize {
        self.quota.settings.memory
    }

    /// Begins a body. Nothing is reserved yet.
    pub(crate) fn begin(&self) -> Spooled {
        Spooled { quota: Arc::clone(&self.quota), reserved: 0, file: None, batch: Vec::new(), left: 0, trailers: None }
    }

    /// Ready once a body has returned its quota after this call.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.quota.freed.notified()
    }
}

impl SpoolBuilder {
    /// How much of each body stays in memory, in bytes. Default: 512 KiB. Writing the rest takes another 16 KiB,
    /// and 128 KiB beyond the first MiB.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// The most bytes that all bodies together may take, in memory and on disk. Default: 1 GiB.
    #[must_use]
    pub fn total(mut self, bytes: u64) -> Self {
        self.total = bytes;
        self
    }

    /// Where the temporary files are created. Default: the system's directory for them.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// A spool with these settings. Its first file shows whether the directory is writable.
    pub(crate) fn untested(self) -> Spool {
        Spool { quota: Arc::new(Quota { settings: self, taken: AtomicU64::new(0), freed: Notify::new() }) }
    }

    /// Builds the spool. Creates a file as a test.
    ///
    /// # Errors
    ///
    /// The system's error, with the name of the directory, if no file can be created there.
    pub fn build(self) -> io::Result<Spool> {
        tempfile::tempfile_in(&self.directory).map_err(|error| {
            io::Error::new(error.kind(), format!("no spool file can be made in {}: {error}", self.directory.display()))
        })?;
        Ok(self.untested())
    }
}

/// The part of a body that is on disk, and the quota of the whole body.
pub(crate) struct Spooled {
    quota: Arc<Quota>,
    reserved: u64,
    file: Option<File>,
    /// The bytes of the next write.
    batch: Vec<u8>,
    /// The unread bytes of the file.
    left: u64,
    trailers: Option<Box<HeaderMap>>,
}

/// The bytes of one write or read.
const SPOOL_BLOCK: usize = 128 * 1024;

/// The bytes of one write while the part of a body on disk is smaller than [`SMALL_BODY`].
const SMALL_SPOOL_BLOCK: usize = 16 * 1024;
const SMALL_BODY: u64 = 1 << 20;

impl Spooled {
    /// Whether a body of this size would fit now. Nothing is reserved: other bodies may take the room.
    pub(super) fn has_room(&self, size: u64) -> bool {
        let more = size.saturating_sub(self.reserved);
        self.quota.taken.load(Ordering::Relaxed).saturating_add(more) <= self.quota.settings.total
    }

    /// Reserves quota for `bytes` of the body in total, if there is room. Check and addition are one atomic step, so
    /// that concurrent bodies cannot exceed the quota together.
    pub(super) fn reserve(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.reserved);
        let total = self.quota.settings.total;
        let add = |taken: u64| taken.checked_add(more).filter(|taken| *taken <= total);
        if more > 0 && self.quota.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
            return false;
        }
        self.reserved += more;
        true
    }

    /// The answer to a body of this size, which does not fit.
    pub(super) fn refuse(&self, size: u64) -> Refusal {
        let total = self.quota.settings.total;
        log::warn!(bytes = size, total, "the spool has no room for a request body");
        Refusal::SHED
    }

    /// Whether the file was begun: all later pieces have to go there.
    pub(crate) fn has_begun(&self) -> bool {
        self.left > 0
    }

    /// Appends to the file.
    pub(crate) async fn write(&mut self, piece: Piece) -> Result<(), Refusal> {
        match piece {
            Piece::Data(bytes) => {
                self.left += bytes.len() as u64;
                self.batch.extend_from_slice(&bytes);
            }
            Piece::Trailers(fields) => self.trailers = Some(fields),
        }
        if self.batch.len() < self.block() { Ok(()) } else { self.flush().await }
    }

    /// The bytes of one write. Small at first, as many slow bodies may be on their way.
    fn block(&self) -> usize {
        if self.left < SMALL_BODY { SMALL_SPOOL_BLOCK } else { SPOOL_BLOCK }
    }

    /// Writes the rest of the batch, and rewinds the file.
    pub(crate) async fn finish(mut self) -> Result<Self, Refusal> {
        if !self.batch.is_empty() {
            self.flush().await?;
            self.batch = Vec::new();
        }
        if let Some(Err(error)) = self.file.as_mut().map(io::Seek::rewind) {
            return Err(self.fail(&error));
        }
        Ok(self)
    }

    /// Writes the batch on a thread for blocking work, because disks may block.
    async fn flush(&mut self) -> Result<(), Refusal> {
        let (file, batch) = (self.file.take(), std::mem::take(&mut self.batch));
        let quota = Arc::clone(&self.quota);
        let written = tokio::task::spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => tempfile::tempfile_in(&quota.settings.directory)?,
            };
            file.write_all(&batch)?;
            io::Result::Ok((file, batch))
        });
        let error = match written.await {
            Ok(Ok((file, mut batch))) => {
                batch.clear();
                (self.file, self.batch) = (Some(file), batch);
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(lost) => lost.into(),
        };
        Err(self.fail(&error))
    }

    fn fail(&self, error: &io::Error) -> Refusal {
        log::error!(%error, directory = %self.quota.settings.directory.display(), "a request body cannot be spooled");
        Refusal::of_failure(StatusCode::SERVICE_UNAVAILABLE)
    }

    pub(crate) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// The next bytes of the file; `None` at its end.
    ///
    /// # Threads
    ///
    /// Blocks: for the application's side.
    pub(crate) fn read(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the rest of the request body is lost"));
        };
        let mut block = Vec::with_capacity(SPOOL_BLOCK);
        (&mut file).take(SPOOL_BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the spooled request body has become shorter"));
        }
        // After an error the file is not put back: its position is unknown.
        self.file = Some(file);
        self.left = self.left.saturating_sub(block.len() as u64);
        Ok(Some(block.into()))
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // Closing an unlinked file frees its blocks, which takes time: not on a thread of the runtime's tasks.
        if let (Some(file), Ok(runtime)) = (self.file.take(), tokio::runtime::Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(file)));
        }
        if self.reserved > 0 {
            self.quota.taken.fetch_sub(self.reserved, Ordering::Relaxed);
            // After the subtraction: a body that waits takes its `Notified` before it looks at the quota.
            self.quota.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IN-17, IN-18, IN-26: a file that cannot be read back is an error on every read, and never the end.
    #[test]
    fn a_file_that_lost_bytes_is_an_error_that_stays() {
        let spool = Spool::builder().build().unwrap();
        let mut spooled = spool.begin();
        spooled.file = Some(tempfile::tempfile().unwrap());
        spooled.left = 1;
        assert_eq!(spooled.read().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(spooled.read().is_err());
    }
}
