//! Clients that do as little as they can.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Bytes a listener takes before it seeks, and at once.
const HEARD: usize = 192 * 1024;
const BUFFER: usize = 32 * 1024;

/// How long a listener's piece lasts.
const PIECE: Duration = Duration::from_millis(20);

/// Where a file is.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
}

/// Downloads the files one after the other over one connection. Panics unless each comes whole.
pub(crate) async fn download(links: &[Link], length: usize) {
    let mut socket = TcpStream::connect(links[0].server).await.expect("a connection");
    let mut buffer = vec![0; 256 * 1024];
    for link in links {
        let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", link.path);
        socket.write_all(request.as_bytes()).await.expect("a request");
        let (head, mut taken) = head(&mut socket, &mut buffer).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        while taken < length {
            let count = socket.read(&mut buffer).await.expect("a body");
            assert!(count > 0, "the body ended early");
            taken += count;
        }
        assert_eq!(taken, length);
    }
}

/// Plays a little from somewhere in the file, drops the connection, and seeks to somewhere else, until the time comes.
/// Says how many parts it had. Panics unless each is what was asked for.
pub(crate) async fn listen(link: Link, length: u64, until: Instant) -> usize {
    let mut buffer = vec![0; BUFFER];
    let mut parts = 0;
    // People do not press a key in the same millisecond.
    sleep(PIECE * fastrand::u32(0..50)).await;
    while Instant::now() < until {
        let from = fastrand::u64(0..length);
        let mut socket = TcpStream::connect(link.server).await.expect("a connection");
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: localhost\r\nrange: bytes={from}-\r\n\r\n",
            link.path
        );
        socket.write_all(request.as_bytes()).await.expect("a request");
        let (head, mut taken) = head(&mut socket, &mut buffer).await;
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        let wanted = usize::try_from(length - from).expect("a part").min(HEARD);
        while taken < wanted {
            sleep(PIECE).await;
            let count = socket.read(&mut buffer).await.expect("a body");
            assert!(count > 0, "the body ended early");
            taken += count;
        }
        parts += 1;
    }
    parts
}

/// The head of a response, and how many bytes of the body came with it.
async fn head(socket: &mut TcpStream, buffer: &mut [u8]) -> (String, usize) {
    let mut filled = 0;
    loop {
        let count = socket.read(&mut buffer[filled..]).await.expect("a head");
        assert!(count > 0, "no answer");
        filled += count;
        let end = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            return (head, filled - end - 4);
        }
    }
}
