//! A process that serves for a parent: its socket, and two pipes between the processes.
//!
//! The parent writes an [`Order`] to stop the worker. The end of that pipe means that the parent has died. The worker
//! writes a byte to the other pipe when it listens.

use std::fmt;
use std::fs::OpenOptions;
use std::future::pending;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Version};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::flags::Stop;

/// What the parent tells a worker when it starts it: the descriptors of its pipes, whether other workers accept from
/// the same listener, and who the parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pipes {
    /// The worker reads.
    pub(crate) control: RawFd,
    /// The worker writes.
    pub(crate) ready: RawFd,
    pub(crate) is_shared: bool,
    /// The process id of the parent.
    pub(crate) parent: i32,
}

impl fmt::Display for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.control, self.ready, self.is_shared, self.parent)
    }
}

impl FromStr for Pipes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let mut parse = || {
            let control = words.next()?.parse().ok()?;
            let ready = words.next()?.parse().ok()?;
            let is_shared = words.next()?.parse().ok()?;
            Some(Self { control, ready, is_shared, parent: words.next()?.parse().ok()? })
        };
        parse().ok_or_else(|| "takes two descriptors, true or false, and a process id".to_owned())
    }
}

/// `/dev/fd/4` is a new description of the pipe behind descriptor 4, so that no code has to trust a number.
fn path(descriptor: RawFd) -> PathBuf {
    PathBuf::from(format!("/dev/fd/{descriptor}"))
}

impl Pipes {
    /// Says that the worker listens.
    pub(crate) fn report_ready(self) -> anyhow::Result<()> {
        let mut ready = OpenOptions::new().write(true).open(path(self.ready)).context("the pipe to the parent")?;
        ready.write_all(b"r").context("the pipe to the parent")
    }

    /// Lets the system send SIGTERM if the parent dies before the worker can follow its pipe: an import may hang.
    pub(crate) fn end_with_parent(self) -> anyhow::Result<()> {
        #[cfg(target_os = "linux")]
        {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
            // Race: the parent may have died before this call. Then the worker has another parent.
            let parent = rustix::process::getppid().map(|parent| parent.as_raw_pid());
            anyhow::ensure!(parent == Some(self.parent), "the parent has died");
        }
        Ok(())
    }

    /// Follows the orders of the parent, and SIGTERM. The parent gets the SIGINT of a terminal and the SIGHUP of an
    /// operator, and decides what they mean.
    ///
    /// However many SIGTERM arrive, they are one: a service manager sends it to the parent and to all workers, and the
    /// parent stops its workers, too.
    pub(crate) fn orders(self) -> anyhow::Result<Orders> {
        let mut control = pipe::OpenOptions::new().open_receiver(path(self.control)).context("the parent's pipe")?;
        let mut terminate = signal(SignalKind::terminate())?;
        // These handlers stay for the life of the process, so that the signals do not end it.
        for ignored in [SignalKind::interrupt(), SignalKind::hangup()] {
            drop(signal(ignored)?);
        }
        let (stage, followed) = watch::channel(Order::Serve);
        tokio::spawn(async move {
            let (mut has_parent, mut drain_at, mut byte) = (true, None, [0]);
            loop {
                let order = tokio::select! {
                    read = control.read(&mut byte), if has_parent => match read {
                        Ok(1..) => Order::of(byte[0]),
                        // Its end: the parent has died.
                        _ => {
                            has_parent = false;
                            Order::Drain
                        }
                    },
                    Some(()) = terminate.recv() => Order::Drain,
                    () = sleep_until(drain_at.unwrap_or_else(Instant::now)), if drain_at.is_some() => {
                        drain_at = None;
                        Order::Drain
                    }
                };
                if order == Order::HandOver {
                    drain_at = Some(Instant::now() + HAND_OVER);
                }
                stage.send_modify(|stage| *stage = order.max(*stage));
            }
        });
        Ok(Orders(followed))
    }
}

/// What the parent tells a worker, in the order in which it may do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Serve,
    /// Another worker listens in its place: it accepts no more connections, ends each of its own after one more
    /// response, and drains a second later. A drain closes idle connections, on which a proxy may be sending a request
    /// at this moment; nginx does not repeat it if it is a POST.
    HandOver,
    /// It finishes its requests.
    Drain,
    /// It ends at once.
    Cut,
}

/// How long connections that are in use have until the drain.
const HAND_OVER: Duration = Duration::from_secs(1);

impl Order {
    /// The byte in the pipe.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Serve => b's',
            Self::HandOver => b'h',
            Self::Drain => b'd',
            Self::Cut => b'c',
        }
    }

    fn of(byte: u8) -> Self {
        [Self::HandOver, Self::Drain, Self::Cut].into_iter().find(|order| order.byte() == byte).unwrap_or(Self::Serve)
    }
}

/// The orders that a worker has received.
pub(crate) struct Orders(watch::Receiver<Order>);

impl Orders {
    fn reached(&self, order: Order) -> impl Future<Output = ()> + Send + 'static {
        let mut stage = self.0.clone();
        async move {
            // An error means that the task has ended, with the runtime.
            let _ = stage.wait_for(|stage| *stage >= order).await;
        }
    }

    /// The futures that stop its server.
    pub(crate) fn stop(
        &self,
    ) -> Stop<impl Future<Output = ()> + Send + 'static, impl Future<Output = ()> + Send + 'static> {
        let (mut stage, of_turns) = (self.0.clone(), self.0.clone());
        Stop {
            // A worker that drains takes what waits in the queue of its listener.
            hand_over: Box::pin(async move {
                if stage.wait_for(|stage| *stage >= Order::HandOver).await.is_ok_and(|stage| *stage > Order::HandOver) {
                    pending::<()>().await;
                }
            }),
            is_draining: Box::new(move || *of_turns.borrow() >= Order::Drain),
            drain: self.reached(Order::Drain),
            cut: self.cut(),
        }
    }

    /// When the parent wants the worker to end at once.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Order::Cut)
    }

    /// From the hand-over on, each response ends its connection.
    pub(crate) fn around(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.0.clone(), end_connection))
    }
}

async fn end_connection(State(stage): State<watch::Receiver<Order>>, request: Request, next: Next) -> Response {
    // HTTP/2 has no such header (RFC 9113, section 8.2.2).
    let has_header = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if has_header && *stage.borrow() >= Order::HandOver {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    /// The value of `Connection` in a response at this stage.
    async fn connection(order: Order, version: Version) -> Option<HeaderValue> {
        let orders = Orders(watch::channel(order).1);
        let router = orders.around(Router::new().fallback(|| async { "hello" }));
        let request = Request::builder().version(version).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().headers().get(CONNECTION).cloned()
    }

    #[tokio::test]
    async fn from_the_hand_over_on_each_response_ends_its_connection() {
        let close = Some(HeaderValue::from_static("close"));
        assert_eq!(connection(Order::Serve, Version::HTTP_11).await, None);
        assert_eq!(connection(Order::HandOver, Version::HTTP_11).await, close);
        assert_eq!(connection(Order::Drain, Version::HTTP_11).await, close);
        assert_eq!(connection(Order::HandOver, Version::HTTP_2).await, None);
    }

    #[test]
    fn an_order_is_the_same_at_both_ends_of_the_pipe() {
        for order in [Order::Serve, Order::HandOver, Order::Drain, Order::Cut] {
            assert_eq!(Order::of(order.byte()), order);
        }
        assert!(Order::Serve < Order::HandOver && Order::HandOver < Order::Drain && Order::Drain < Order::Cut);
    }
}
