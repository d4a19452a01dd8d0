//! Raw HTTP/2 frames, for requests and checks that an ordinary HTTP/2 client cannot make.

use std::net::SocketAddr;

use gateway_tests::frames::flag::{ACK, END_HEADERS, END_STREAM};
use gateway_tests::frames::kind::{DATA, GOAWAY, HEADERS, RST_STREAM, SETTINGS};
use gateway_tests::frames::{Frame, PREFACE, frame, read_frame};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const INITIAL_WINDOW_SIZE: u16 = 4;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The server sent `END_STREAM`: the response is complete.
    Complete,
    /// The server sent `END_STREAM` after a response head of status 500.
    Failed,
    /// The stream ended by `RST_STREAM` or `GOAWAY`, or because the connection closed.
    Aborted,
}

/// Opens a connection and sends the client's preface and SETTINGS.
pub(crate) async fn open(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    open_with(address, &[]).await
}

/// Opens a connection on which the server may send no data: the initial window of every stream is 0.
pub(crate) async fn open_shut(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    open_with(address, &[&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &[0; 4]].concat()).await
}

async fn open_with(address: SocketAddr, settings: &[u8]) -> std::io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await?;
    Ok(BufReader::new(stream))
}

/// A HEADERS frame with a request for a short target, and with `END_STREAM`.
pub(crate) fn headers(stream: u32, target: &str) -> Vec<u8> {
    // The static HPACK table has GET, http, and the names of `:path` and `:authority`; the values are literals.
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x04, target), (0x01, "load.test")] {
        block.extend([name, u8::try_from(value.len().min(126)).unwrap_or(126)]);
        block.extend(value.bytes().take(126));
    }
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A `RST_STREAM` frame with the code `CANCEL`.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// Reads until the wanted number of streams have ended in any way, or the connection closes, which ends all streams.
pub(crate) async fn ends(connection: &mut BufReader<TcpStream>, wanted: usize) -> usize {
    let mut ended = 0;
    while ended < wanted {
        let Ok(Frame { kind, flags, .. }) = read_frame(connection).await else { return wanted };
        let is_data = matches!(kind, DATA | HEADERS);
        ended += usize::from(kind == RST_STREAM || is_data && flags & END_STREAM != 0);
        if kind == SETTINGS && flags & ACK == 0 {
            let _ = connection.write_all(&frame(SETTINGS, ACK, 0, &[])).await;
        }
    }
    ended
}

/// Reads until a stream has ended.
pub(crate) async fn end_of(connection: &mut BufReader<TcpStream>, wanted: u32) -> StreamEnd {
    let mut failed = false;
    loop {
        let Ok(Frame { kind, flags, stream, payload }) = read_frame(connection).await else {
            return StreamEnd::Aborted;
        };
        match kind {
            SETTINGS if flags & ACK == 0 => {
                let _ = connection.write_all(&frame(SETTINGS, ACK, 0, &[])).await;
            }
            GOAWAY => return StreamEnd::Aborted,
            RST_STREAM if stream == wanted => return StreamEnd::Aborted,
            DATA | HEADERS if stream == wanted => {
                // Status 500 has index 14 in the static HPACK table, and servers send it as that index.
                failed |= kind == HEADERS && payload.first() == Some(&0x8e);
                if flags & END_STREAM != 0 {
                    return if failed { StreamEnd::Failed } else { StreamEnd::Complete };
                }
            }
            _ => {}
        }
    }
}
