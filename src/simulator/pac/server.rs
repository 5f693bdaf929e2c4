//! PAC's listener.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Status};
use tower::util::MapResponseLayer;

use super::call_service::CallService;
use super::connection::{Connection, Scissors};
use super::core::Core;
use super::instead::replace;
use super::sql_service::SqlService;
use crate::pac::proto::call::call_pbx_service_server::CallPbxServiceServer;
use crate::pac::proto::sql::sql_service_pbx_service_server::SqlServicePbxServiceServer;

use crate::simulator;
use crate::simulator::lock::locked;

/// How many requests at once on one connection: Kestrel's default.
const MAX_STREAMS: u32 = 100;

/// PAC's gRPC server, which can be stopped and started again.
#[derive(Debug)]
pub(in crate::simulator) struct Server {
    core: Arc<Core>,
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    /// Kept so that the port is never without a listener.
    listener: StdListener,
    /// Ends all connections.
    stop: CancellationToken,
    /// Ends the present connections in order, and the listening of those who serve them.
    go_away: CancellationToken,
    servers: TaskTracker,
}

impl Running {
    /// Serves new connections.
    fn serve(&self, core: &Arc<Core>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let serving = serve(
            listener,
            Arc::clone(core),
            self.stop.clone(),
            self.go_away.clone(),
        );
        self.servers.spawn_on(serving, &core.runtime);
        Ok(())
    }
}

impl Server {
    /// Listens. To be called on the simulator's own runtime.
    pub(in crate::simulator) fn start(core: Arc<Core>, address: SocketAddr) -> io::Result<Self> {
        let running = run(address, &core)?;
        let address = running.listener.local_addr()?;
        let running = Mutex::new(Some(running));
        Ok(Self {
            core,
            address,
            running,
        })
    }

    pub(in crate::simulator) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection.
    pub(super) async fn stop(&self) {
        let running = locked(&self.running).take();
        if let Some(Running { stop, servers, .. }) = running {
            stop.cancel();
            servers.close();
            servers.wait().await;
        }
    }

    /// Has every connection say GOAWAY, and takes new ones. Does nothing when it does not listen.
    pub(super) fn go_away(&self) -> io::Result<()> {
        if let Some(running) = locked(&self.running).as_mut() {
            let _runtime = self.core.runtime.enter();
            let former = std::mem::take(&mut running.go_away);
            running.serve(&self.core)?;
            former.cancel();
        }
        Ok(())
    }

    /// Listens again, on the same port. Does nothing when it listens.
    pub(super) fn restart(&self) -> io::Result<()> {
        let mut running = locked(&self.running);
        if running.is_none() {
            let _runtime = self.core.runtime.enter();
            *running = Some(run(self.address, &self.core)?);
        }
        Ok(())
    }
}

fn run(address: SocketAddr, core: &Arc<Core>) -> io::Result<Running> {
    let listener = simulator::listen(address)?;
    listener.set_nonblocking(true)?;
    let running = Running {
        listener,
        stop: CancellationToken::new(),
        go_away: CancellationToken::new(),
        servers: TaskTracker::new(),
    };
    running.serve(core)?;
    Ok(running)
}

async fn serve(listener: TcpListener, core: Arc<Core>, stop: CancellationToken, go_away: CancellationToken) {
    let cut = stop.clone();
    let connections = TcpListenerStream::new(listener).map(move |stream| {
        stream.map(|stream| {
            // As Kestrel does. Replies of a few bytes would wait for the client's acknowledgement otherwise.
            let _ = stream.set_nodelay(true);
            Connection::new(stream, cut.child_token())
        })
    });
    let key = core.settings.jwt_key.clone();
    let check = move |request: Request<()>| authorised(request, key.as_deref());
    let sql = SqlServicePbxServiceServer::with_interceptor(SqlService(Arc::clone(&core)), check.clone());
    let calls = CallPbxServiceServer::with_interceptor(CallService(core), check);
    let serving = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .layer(MapResponseLayer::new(replace))
        .add_service(sql)
        .add_service(calls)
        .serve_with_incoming_shutdown(connections, go_away.cancelled_owned());
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "the simulated PAC stopped");
        },
        () = stop.cancelled() => {}
    }
}

/// The connection that a request came by.
pub(super) fn connection_of<T>(request: &Request<T>) -> Option<Scissors> {
    request.extensions().get::<Scissors>().cloned()
}

/// Checks the bearer token where one is asked for. A real PAC answers a bad one with an HTTP status that does not
/// exist, which breaks the connection; this one says UNAUTHENTICATED.
fn authorised(request: Request<()>, key: Option<&str>) -> Result<Request<()>, Status> {
    let Some(key) = key else {
        return Ok(request);
    };
    let header = request
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Status::unauthenticated("no bearer token"))?;
    // PAC takes any HMAC.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    validation.set_issuer(&["pac"]);
    validation.set_audience(&["onvoip.ru"]);
    validation.leeway = 300;
    let key = DecodingKey::from_secret(key.as_bytes());
    jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation)
        .map_err(|error| Status::unauthenticated(error.to_string()))?;
    Ok(request)
}
