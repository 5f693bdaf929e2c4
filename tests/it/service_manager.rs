//! What systemd is told: ready when requests are answered, and stopping when they no longer are.

use std::path::Path;

use awc::Client;
use awc::http::StatusCode;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::app::LIMIT;
use crate::support::program::Program;

async fn next(manager: &UnixDatagram) -> String {
    let mut message = [0; 4_096];
    let received = timeout(LIMIT, manager.recv(&mut message)).await;
    let length = received.expect("a message in time").expect("a message");
    String::from_utf8(message[..length].to_vec()).expect("text")
}

fn under_a_service_manager(socket: &Path) -> Program {
    let socket = socket.to_str().expect("a path in UTF-8").to_owned();
    Program::serve(&[("NOTIFY_SOCKET", socket)])
}

#[actix_rt::test]
async fn it_says_when_it_is_ready_and_when_it_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let mut program = under_a_service_manager(&socket);

    let ready = next(&manager).await;
    let port = ready
        .strip_prefix("READY=1\nSTATUS=listening on port ")
        .map(|port| port.trim_end().parse::<u16>());
    let port = port.expect("ready, with its port").expect("a port");
    let reply = Client::default()
        .get(format!("http://127.0.0.1:{port}/livez"))
        .send()
        .await;
    assert_eq!(reply.expect("a reply").status(), StatusCode::OK);

    program.signal("TERM");
    assert_eq!(next(&manager).await, "STOPPING=1\nSTATUS=draining\n");
    assert_eq!(program.ended().await.code, Some(0));
}

#[actix_rt::test]
async fn a_service_manager_that_does_not_read_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    // Fills its queue; each sender has a limit of its own, too.
    let mut fillers = Vec::new();
    loop {
        let filler = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
        filler.connect(&socket).expect("a way to it");
        filler
            .set_nonblocking(true)
            .expect("a socket that does not block");
        if filler.send(&[0]).is_err() {
            break;
        }
        while filler.send(&[0]).is_ok() {}
        fillers.push(filler);
    }
    let mut program = under_a_service_manager(&socket);
    program.origin().await;
    program.says("the service manager was not told").await;
    program.signal("TERM");
    assert_eq!(program.ended().await.code, Some(0));
    drop(manager);
}
