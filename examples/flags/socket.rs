//! The listening socket of a server.

use std::fs;
use std::future::pending;
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use gateway::serve::InheritedSockets;
use socket2::{Domain, SockAddr, Type};
use tokio::time::{Instant, sleep};

/// The maximum number of connections that the system queues until the server accepts them. Linux lowers it to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 2048;

/// The address that a server listens on. Clients may connect from here on; they wait until the server accepts them.
#[derive(Debug)]
pub(crate) struct Socket {
    /// At least one. Several have the same address, and the system distributes the connections among them.
    pub(crate) listeners: Vec<Listener>,
    /// Other processes accept connections from the same listener.
    pub(crate) is_shared: bool,
    /// `None` for an inherited socket, whose file belongs to the process that has opened it.
    pub(crate) file: Option<SocketFile>,
}

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Socket {
    /// Listens on an address, with a listener for each of several processes. Port 0 picks one.
    pub(crate) fn tcp(host: IpAddr, port: u16, processes: usize) -> anyhow::Result<Self> {
        let address = SocketAddr::new(host, port);
        Self::listen(address, processes).with_context(|| format!("cannot listen on {address}"))
    }

    /// Of processes that share a listener, the first one to wake up accepts all connections of a burst. With
    /// `SO_REUSEPORT` each process has a listener of its own, and Linux distributes the connections evenly. Other
    /// systems do not distribute them, and the processes share one.
    fn listen(address: SocketAddr, processes: usize) -> io::Result<Self> {
        if processes == 1 || cfg!(not(target_os = "linux")) {
            return Ok(Self {
                listeners: vec![Listener::Tcp(listener(address, false)?)],
                is_shared: false,
                file: None,
            });
        }
        // The address may not be another server's, which `SO_REUSEPORT` would allow: first listen without it.
        let address = listener(address, false)?.local_addr()?;
        let listeners = (0..processes).map(|_| Ok(Listener::Tcp(listener(address, true)?)));
        Ok(Self { listeners: listeners.collect::<io::Result<_>>()?, is_shared: false, file: None })
    }

    /// Listens on a Unix socket. The file of a server that no longer runs is replaced. Without a mode, the umask
    /// decides who may connect.
    pub(crate) fn unix(path: &Path, mode: Option<u32>) -> anyhow::Result<Self> {
        let bind = || {
            let address = SockAddr::unix(path)?;
            let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
            match socket.bind(&address) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path)? => {
                    fs::remove_file(path)?;
                    socket.bind(&address)?;
                }
                bound => bound?,
            }
            let file = SocketFile::new(path)?;
            // Before `listen`: until then no client can connect with the mode of the umask.
            if let Some(mode) = mode {
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            }
            socket.listen(BACKLOG)?;
            io::Result::Ok(Self { listeners: vec![Listener::Unix(socket.into())], is_shared: false, file: Some(file) })
        };
        bind().with_context(|| format!("cannot listen on unix:{}", path.display()))
    }

    /// Takes the only socket that another process has opened for this one, and maybe for others.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[allow(dead_code, reason = "some servers open their own")]
    pub(crate) fn inherited(mut sockets: InheritedSockets, is_shared: bool) -> anyhow::Result<Self> {
        anyhow::ensure!(sockets.len() == 1, "LISTEN_FDS names {} sockets; this server takes one", sockets.len());
        let listener = match sockets.tcp(0) {
            // It is no TCP socket.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                Listener::Unix(sockets.unix(0).and_then(tokio::net::UnixListener::into_std).context("LISTEN_FDS")?)
            }
            listener => Listener::Tcp(listener.and_then(tokio::net::TcpListener::into_std).context("LISTEN_FDS")?),
        };
        Ok(Self { listeners: vec![listener], is_shared, file: None })
    }

    /// Prints where clients connect. Without a reader of stdout, the server serves all the same.
    pub(crate) fn announce(&self) -> io::Result<()> {
        if let Some(listener) = self.listeners.first() {
            let url = listener.url()?;
            let _ = writeln!(io::stdout(), "listening on {url}");
        }
        Ok(())
    }
}

/// A listener. `may_share`: others may have the same address.
fn listener(address: SocketAddr, may_share: bool) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Otherwise a restart fails while connections of the last process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if may_share {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener {
    /// Where clients connect, as text.
    pub(crate) fn url(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(format!("http://{}", listener.local_addr()?)),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                Ok(format!("unix:{}", address.as_pathname().unwrap_or(Path::new("")).display()))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Whether the file is a socket on which no process listens.
fn is_stale(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file with this name that is no socket"));
    }
    Ok(UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

/// The file of a Unix socket, which is removed on drop.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Absolute, as the program may change its folder.
    path: PathBuf,
    /// The device and the inode: a server that has been started meanwhile may have replaced the file.
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // A file that stays is stale, and the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A listener that is closed when its future is ready. The server keeps its connections.
pub(super) struct UntilHandOver<L> {
    listener: Option<L>,
    hand_over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<L> UntilHandOver<L> {
    pub(super) fn new(listener: L, hand_over: Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        Self { listener: Some(listener), hand_over }
    }
}

impl<L: gateway::serve::Listener> gateway::serve::Listener for UntilHandOver<L> {
    type Io = L::Io;
    type Opening = L::Opening;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        if let Some(listener) = &mut self.listener {
            tokio::select! {
                opening = listener.accept() => return opening,
                () = &mut self.hand_over => self.listener = None,
            }
        }
        pending().await
    }
}

/// A listener that leaves connections to the other processes that accept from it, too. Without turns, the process that
/// wakes up first accepts all connections of a burst, and its interpreter alone works for them.
pub(super) struct InTurns<L> {
    listener: L,
    is_shared: bool,
    /// Its process takes all that wait, and there are no turns.
    is_draining: Box<dyn Fn() -> bool + Send>,
    begun: Instant,
    accepted: u32,
}

/// How many connections a process accepts in a turn, and how long it leaves further ones to others. A process accepts
/// 4,000 connections a second at most, which is more than Python serves.
const TURN: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1);

impl<L> InTurns<L> {
    pub(super) fn new(listener: L, is_shared: bool, is_draining: Box<dyn Fn() -> bool + Send>) -> Self {
        Self { listener, is_shared, is_draining, begun: Instant::now(), accepted: 0 }
    }
}

impl<L: gateway::serve::Listener> gateway::serve::Listener for InTurns<L> {
    type Io = L::Io;
    type Opening = L::Opening;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        if self.is_shared && self.accepted == TURN && self.begun.elapsed() < PAUSE && !(self.is_draining)() {
            sleep(PAUSE).await;
        }
        let opening = self.listener.accept().await?;
        if self.accepted == TURN || self.begun.elapsed() >= PAUSE {
            (self.begun, self.accepted) = (Instant::now(), 0);
        }
        self.accepted += 1;
        Ok(opening)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use gateway::serve::{Connection, Listener as _};

    use super::*;

    /// A listener whose queue is never empty.
    struct Burst;

    impl gateway::serve::Listener for Burst {
        type Io = tokio::net::UnixStream;
        type Opening = Ready<io::Result<Connection<Self::Io>>>;

        async fn accept(&mut self) -> io::Result<Self::Opening> {
            Ok(ready(Err(io::ErrorKind::ConnectionAborted.into())))
        }
    }

    /// The connections that are accepted before the clock advances.
    async fn accepted_at_once(listener: &mut InTurns<Burst>) -> u32 {
        let begun = Instant::now();
        let mut accepted = 0;
        while accepted < 100 && listener.accept().await.is_ok() && begun.elapsed().is_zero() {
            accepted += 1;
        }
        accepted
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_shared_listener_a_process_leaves_connections_to_others() {
        let mut listener = InTurns::new(Burst, true, Box::new(|| false));
        assert_eq!(accepted_at_once(&mut listener).await, TURN);
        // The one that has ended the first turn belongs to this one.
        assert_eq!(accepted_at_once(&mut listener).await, TURN - 1);
        assert_eq!(accepted_at_once(&mut InTurns::new(Burst, false, Box::new(|| false))).await, 100);
        assert_eq!(accepted_at_once(&mut InTurns::new(Burst, true, Box::new(|| true))).await, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_hand_over_no_connection_is_accepted() {
        let (order, ordered) = tokio::sync::oneshot::channel::<()>();
        let mut listener = UntilHandOver::new(Burst, Box::pin(async move { drop(ordered.await) }));
        assert!(listener.accept().await.is_ok());
        order.send(()).unwrap();
        // The paused clock advances when nothing else can happen.
        let accepting = async { while listener.accept().await.is_ok() {} };
        assert!(tokio::time::timeout(Duration::from_secs(1), accepting).await.is_err());
        assert!(listener.listener.is_none());
    }
}
