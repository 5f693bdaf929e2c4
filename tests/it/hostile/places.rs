//! More connections than there are places for.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{address, honest, metric};
use crate::support::app::LIMIT;
use crate::support::program::Program;

/// Descriptors for 180 places in all, and more connections than that.
const DESCRIPTORS: usize = 256;
const CROWD: usize = 400;

const KEPT: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Opens connections one after the other, each after having sent this much; all stay open.
async fn crowd(to: &str, sent: &[u8], is_answered: bool) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut socket = TcpStream::connect(to).await.expect("a connection");
        socket.write_all(sent).await.expect("bytes sent");
        if is_answered {
            let answer = timeout(LIMIT, socket.read(&mut [0; 1_024])).await;
            assert!(
                answer.expect("no long wait").is_ok_and(|read| read > 0),
                "an answer"
            );
        }
        crowd.push(socket);
    }
    crowd
}

/// That this crowd is in nobody's way, and that it is said.
async fn gives_way(sent: &[u8], is_answered: bool) {
    let mut program = Program::serve_with_descriptors(DESCRIPTORS, &[]);
    let origin = program.origin().await;
    let to = address(&origin);
    let crowd = crowd(to, sent, is_answered).await;
    for _ in 0..20 {
        let answered = timeout(Duration::from_secs(4), honest(to)).await;
        answered.expect("an answer before any timeout makes room");
    }
    assert!(metric(to, "mege_http_connections_cut_total", "shed").await >= 100.0);
    program.says("gave way to new ones").await;
    drop(crowd);
}

#[actix_rt::test]
async fn kept_connections_give_way() {
    gives_way(KEPT, true).await;
}

#[actix_rt::test]
async fn unfinished_heads_give_way() {
    gives_way(b"GET /livez HT", false).await;
}

#[actix_rt::test]
async fn connections_that_say_nothing_give_way() {
    gives_way(b"", false).await;
}
