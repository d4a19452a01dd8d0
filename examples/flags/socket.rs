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

use anyhow::Context as _;
use gateway::serve::InheritedSockets;
use socket2::{Domain, SockAddr, Type};

/// The maximum number of connections that the system queues until the server accepts them. Linux lowers it to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 2048;

/// The address that a server listens on. Clients may connect from here on; they wait until the server accepts them.
#[derive(Debug)]
pub(crate) struct Socket {
    /// At least one. Several have the same address, and the system distributes the connections among them.
    pub(crate) listeners: Vec<Listener>,
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
            return Ok(Self { listeners: vec![Listener::Tcp(listener(address, false)?)], file: None });
        }
        // The address may not be another server's, which `SO_REUSEPORT` would allow: first listen without it.
        let address = listener(address, false)?.local_addr()?;
        let listeners = (0..processes).map(|_| Ok(Listener::Tcp(listener(address, true)?)));
        Ok(Self { listeners: listeners.collect::<io::Result<_>>()?, file: None })
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
            io::Result::Ok(Self { listeners: vec![Listener::Unix(socket.into())], file: Some(file) })
        };
        bind().with_context(|| format!("cannot listen on unix:{}", path.display()))
    }

    /// Takes the only socket that another process has opened for this one.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    #[allow(dead_code, reason = "some servers open their own")]
    pub(crate) fn inherited(mut sockets: InheritedSockets) -> anyhow::Result<Self> {
        anyhow::ensure!(sockets.len() == 1, "LISTEN_FDS names {} sockets; this server takes one", sockets.len());
        let listener = match sockets.tcp(0) {
            // It is no TCP socket.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                Listener::Unix(sockets.unix(0).and_then(tokio::net::UnixListener::into_std).context("LISTEN_FDS")?)
            }
            listener => Listener::Tcp(listener.and_then(tokio::net::TcpListener::into_std).context("LISTEN_FDS")?),
        };
        Ok(Self { listeners: vec![listener], file: None })
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
