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
use super::socket::Wire;
use crate::simulator::{listen, locked};

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
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .on_connect(keep_wire)
        .listen(listener)?
        .run();
    let handle = server.handle();
    exchange.runtime.spawn(server);
    Ok(handle)
}

/// Keeps a hold on the connection for requests that break it.
fn keep_wire(stream: &dyn Any, data: &mut Extensions) {
    let stream = stream.downcast_ref::<actix_web::rt::net::TcpStream>();
    let copy = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
    if let Some(copy) = copy {
        data.insert(Wire(Arc::new(copy.into())));
    }
}
