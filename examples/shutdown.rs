//! A graceful shutdown: open requests may finish within a grace, and the report names the others.
//!
//! ```sh
//! cargo run --release --example shutdown          # and again for each of these
//! curl -N http://127.0.0.1:8000/work?3 & sleep 1; kill -INT $(pgrep -x shutdown)    # all three steps, then the server stops
//! curl -N http://127.0.0.1:8000/work?60 & sleep 1; kill -INT $(pgrep -x shutdown)   # cut off after five seconds
//! curl http://127.0.0.1:8000/stubborn & sleep 1; kill -INT $(pgrep -x shutdown)     # cut off as well, and left running
//! ```
//!
//! A second signal ends the grace at once: try it with the second request.
//!
//! At the end the server reports the requests that still ran when the grace was over: none, and then twice one
//! connection and one request. The second request ends a moment later, because it checks for a disconnect; the third
//! runs until the process ends, because a thread cannot be ended from outside.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway::{Environ, Pool, StartResponse, wsgi_app};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let pool = Pool::builder().threads(16).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    // After the signal, new connections are refused, and idle connections are closed.
    let report =
        gateway::serve(listener, app(&pool)).pool(&pool).grace(Duration::from_secs(5)).stop_on_signals()?.run().await?;
    println!("stopped: {report}");
    Ok(())
}

fn app(pool: &Pool) -> Router {
    Router::new().route("/work", get(pool.mount(work))).route("/stubborn", get(pool.mount(stubborn)))
}

/// Works for the given number of seconds, or until the client disconnects.
#[wsgi_app]
fn work(environ: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[String; 0]> {
    let steps: u64 = environ.query().parse().unwrap_or(3);
    let write = start_response("200 OK", &[("Content-Type", "text/plain")])?;
    for step in 1..=steps {
        // A step of work. Work that does not wait can call `client_disconnected` instead.
        if environ.wait_for_disconnect(Duration::from_secs(1)) {
            println!("the client has disconnected before step {step}");
            break;
        }
        write.send(format!("step {step} of {steps}\n"))?;
    }
    Ok([])
}

/// Never checks for a disconnect.
#[wsgi_app]
fn stubborn(_: &mut Environ, start_response: StartResponse<'_>) -> gateway::Result<[&'static str; 1]> {
    std::thread::sleep(Duration::from_secs(60));
    start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(["at last\n"])
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::{Mutex, mpsc};

    use gateway::serve::ShutdownReport;
    use gateway::{Application, Chunks, application_fn};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    /// A server whose application signals its start, and ends when the test lets it.
    struct Server {
        begun: mpsc::Receiver<()>,
        release: mpsc::Sender<()>,
        stop: oneshot::Sender<()>,
        stopped: JoinHandle<std::io::Result<ShutdownReport>>,
        client: JoinHandle<String>,
    }

    impl Server {
        /// Starts the server, and sends it a request.
        async fn start(grace: Duration) -> Self {
            let ((begin, begun), (release, released)) = (mpsc::channel(), mpsc::channel());
            let (stop, stopping) = oneshot::channel();
            let pool = Pool::builder().threads(1).build().unwrap();
            let app = Router::new().fallback_service(pool.mount(gated(begin, released)).name("gated"));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = gateway::serve(listener, app).pool(&pool).grace(grace).with_graceful_shutdown(stopping);
            let stopped = tokio::spawn(server.run());
            Self { begun, release, stop, stopped, client: tokio::task::spawn_blocking(move || get(address)) }
        }
    }

    fn gated(begin: mpsc::Sender<()>, released: mpsc::Receiver<()>) -> impl Application {
        let released = Mutex::new(released);
        application_fn(move |_, start_response| {
            begin.send(())?;
            released.lock().unwrap().recv()?;
            start_response("200 OK", &[])?;
            Ok(Chunks::new(["done"]))
        })
    }

    fn get(address: SocketAddr) -> String {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nhost: test.local\r\n\r\n").unwrap();
        let mut answer = String::new();
        // A cut connection may end in an error; the bytes before it are kept.
        let _ = connection.read_to_string(&mut answer);
        answer
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_has_begun_is_finished() {
        let server = Server::start(Duration::from_secs(600)).await;
        tokio::task::block_in_place(|| server.begun.recv()).unwrap();
        server.stop.send(()).unwrap();
        server.release.send(()).unwrap();
        assert!(server.client.await.unwrap().ends_with("done"));
        assert!(server.stopped.await.unwrap().unwrap().is_clean());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_does_not_finish_is_named() {
        let server = Server::start(Duration::ZERO).await;
        tokio::task::block_in_place(|| server.begun.recv()).unwrap();
        server.stop.send(()).unwrap();
        let report = server.stopped.await.unwrap().unwrap();
        assert_eq!((report.running.len(), report.connections_cut), (1, 1));
        assert_eq!(report.running[0].mount, *"gated");
        assert_eq!(server.client.await.unwrap(), "");
        server.release.send(()).unwrap();
    }
}
