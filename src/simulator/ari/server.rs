//! ARI's listener.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::{App, HttpServer, web};

use super::exchange::Exchange;
use super::requests::answer;
use super::sessions::SessionLimit;
use super::socket::Wire;
use crate::simulator::listen;
use crate::simulator::lock::locked;

/// As Asterisk's `session_keep_alive`.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// ARI's HTTP server, which can be stopped and started again.
pub(super) struct Server {
    exchange: Arc<Exchange>,
    address: SocketAddr,
    running: Mutex<Option<ServerHandle>>,
}

impl Server {
    /// Listens. To be called on the simulator's own runtime.
    pub(super) fn start(exchange: Arc<Exchange>, address: SocketAddr) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let handle = serve(&exchange, listener)?;
        Ok(Self {
            exchange,
            address,
            running: Mutex::new(Some(handle)),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection.
    pub(super) async fn stop(&self) {
        let handle = locked(&self.running).take();
        if let Some(handle) = handle {
            handle.stop(false).await;
        }
    }

    /// Listens again, on the same port. Does nothing when it listens.
    pub(super) fn restart(&self) -> io::Result<()> {
        let mut running = locked(&self.running);
        if running.is_none() {
            let _runtime = self.exchange.runtime.enter();
            *running = Some(serve(&self.exchange, listen(self.address)?)?);
        }
        Ok(())
    }
}

fn serve(exchange: &Arc<Exchange>, listener: TcpListener) -> io::Result<ServerHandle> {
    let data = web::Data::from(Arc::clone(exchange));
    let app = move || App::new().app_data(data.clone()).default_service(web::to(answer));
    let sessions = Arc::clone(&exchange.sessions);
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .on_connect(move |stream, data| connected(&sessions, stream, data))
        .listen(listener)?
        .run();
    let handle = server.handle();
    exchange.runtime.spawn(server);
    Ok(handle)
}

/// Counts a connection, or closes it at once, and keeps a hold on it for requests that break it.
fn connected(sessions: &Arc<SessionLimit>, stream: &dyn Any, data: &mut Extensions) {
    let stream = stream.downcast_ref::<actix_web::rt::net::TcpStream>();
    let copy = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
    let wire = copy.map(|copy| Wire(Arc::new(copy.into())));
    let Some(session) = sessions.open() else {
        if let Some(wire) = wire {
            wire.cut();
        }
        return;
    };
    data.insert(session);
    if let Some(wire) = wire {
        data.insert(wire);
    }
}
