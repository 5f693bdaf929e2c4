//! An Asterisk that does nothing but answer: every originate at once or after a fixed time, and each of a gateway's calls
//! ends a moment later. It runs as a process of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::Message;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::gateway::Asterisk;
use super::process::{LOAD, Server, free_port, pinned};

/// Makes this program the fake on the port in it; the second has the milliseconds that an originate takes.
const PORT: &str = "MEGE_BENCH_ARI";
const TAKES_MS: &str = "MEGE_BENCH_ARI_TAKES_MS";

const TRUNK: &str = "3cx";

/// The id in the path of originates that do not come from a gateway: nobody is told of their end.
pub(crate) const STRAIGHT: &str = "straight";

/// How soon a call ends.
const CALL: Duration = Duration::from_millis(5);

/// Becomes the fake, where that was asked for.
pub(crate) fn serve_if_asked() -> bool {
    let Ok(port) = std::env::var(PORT) else {
        return false;
    };
    let takes: u64 = std::env::var(TAKES_MS)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let port = port.parse().expect("a port");
    actix_rt::System::new().block_on(serve(port, Duration::from_millis(takes)));
    true
}

/// Starts this program as the fake.
pub(crate) fn start(takes: Duration, folder: &Path) -> Server {
    let program = std::env::current_exe().expect("this program");
    let port = free_port();
    let mut command = pinned(LOAD, program.to_str().expect("UTF-8"));
    command
        .env(PORT, port.to_string())
        .env(TAKES_MS, takes.as_millis().to_string());
    Server::start(command, port, &folder.join("ari.log"))
}

/// How a gateway finds the fake.
pub(crate) fn as_asterisk(server: &Server) -> Asterisk<'static> {
    Asterisk {
        port: server.port,
        user: "bench",
        password: "bench",
        trunk: TRUNK,
        context: "outgoing",
    }
}

/// How many originates the fake has taken.
pub(crate) fn count(server: &Server) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    stream
        .write_all(b"GET /placed HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("a request sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, count) = answer.rsplit_once("\r\n").expect("a body");
    count.parse().expect("a number")
}

async fn placed(fake: web::Data<Fake>) -> String {
    fake.serial.load(Ordering::Relaxed).to_string()
}

struct Fake {
    takes: Duration,
    /// How many originates were taken.
    serial: AtomicU64,
    /// The latest event socket.
    socket: Mutex<Option<UnboundedSender<String>>>,
}

async fn serve(port: u16, takes: Duration) {
    let fake = web::Data::new(Fake {
        takes,
        serial: AtomicU64::default(),
        socket: Mutex::default(),
    });
    let app = move || {
        App::new()
            .app_data(fake.clone())
            .route("/ari/channels/{id}", web::post().to(originate))
            .route("/ari/applications/{of:.*}", web::to(application))
            .route("/ari/events", web::get().to(events))
            .route("/placed", web::get().to(placed))
            .default_service(web::to(|| async { HttpResponse::Ok().json(json!([])) }))
    };
    let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", port));
    server.expect("the port").run().await.expect("a server");
}

/// A channel as Asterisk shows it.
fn channel(id: &str, serial: u64) -> Value {
    let nobody = json!({ "name": "", "number": "" });
    json!({
        "id": id,
        "name": format!("PJSIP/{TRUNK}-{serial:08x}"),
        "state": "Down",
        "protocol_id": "",
        "caller": nobody,
        "connected": nobody,
        "accountcode": "",
        "dialplan": {
            "context": "outgoing", "exten": "79102223311", "priority": 1, "app_name": "AppDial2",
            "app_data": "(Outgoing Line)",
        },
        "creationtime": "2026-11-22T10:00:00.123+0000",
        "language": "en",
    })
}

async fn originate(id: web::Path<String>, _body: web::Bytes, fake: web::Data<Fake>) -> HttpResponse {
    if !fake.takes.is_zero() {
        sleep(fake.takes).await;
    }
    let serial = fake.serial.fetch_add(1, Ordering::Relaxed);
    let channel = channel(&id, serial);
    let answer = HttpResponse::Ok().json(&channel);
    if *id != STRAIGHT {
        let ended = json!({
            "type": "ChannelDestroyed",
            "timestamp": "2026-11-22T10:00:09.123+0000",
            "cause": 16,
            "cause_txt": "Normal Clearing",
            "channel": channel,
            "asterisk_id": "00:00:00:00:00:00",
            "application": "bench",
        });
        actix_rt::spawn(async move {
            sleep(CALL).await;
            if let Some(socket) = &*fake.socket.lock().expect("nobody panicked") {
                // One that is gone has no gateway behind it that would want to know.
                let _ = socket.send(ended.to_string());
            }
        });
    }
    answer
}

/// The application as one that is subscribed to everything, also in answer to the filter it gets.
async fn application() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "bridge_ids": ["__AST_BRIDGE_ALL_TOPIC"],
        "endpoint_ids": [format!("PJSIP/{TRUNK}")],
        "events_disallowed": [],
    }))
}

async fn events(
    request: HttpRequest,
    body: web::Payload,
    fake: web::Data<Fake>,
) -> actix_web::Result<HttpResponse> {
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    let (events, mut waiting) = unbounded_channel();
    *fake.socket.lock().expect("nobody panicked") = Some(events);
    actix_rt::spawn(async move {
        loop {
            let sent = tokio::select! {
                Some(event) = waiting.recv() => session.text(event).await,
                message = messages.next() => match message {
                    Some(Ok(Message::Ping(bytes))) => session.pong(&bytes).await,
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return,
                },
            };
            if sent.is_err() {
                return;
            }
        }
    });
    Ok(response)
}
