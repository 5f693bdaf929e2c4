//! PAC's listener.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Status};

use super::call_service::CallService;
use super::connection::{Connection, Scissors};
use super::core::Core;
use super::sql_service::SqlService;
use crate::pac::proto::call::call_pbx_service_server::CallPbxServiceServer;
use crate::pac::proto::sql::sql_service_pbx_service_server::SqlServicePbxServiceServer;

/// Serves until it is dropped.
pub(in crate::simulator) async fn serve(listener: TcpListener, core: Arc<Core>) {
    let connections = TcpListenerStream::new(listener).map(|stream| {
        stream.map(|stream| {
            // As Kestrel does. Replies of a few bytes would wait for the client's acknowledgement otherwise.
            let _ = stream.set_nodelay(true);
            Connection::new(stream)
        })
    });
    let key = core.settings.jwt_key.clone();
    let check = move |request: Request<()>| authorised(request, key.as_deref());
    let served = Server::builder()
        .add_service(SqlServicePbxServiceServer::with_interceptor(
            SqlService(Arc::clone(&core)),
            check.clone(),
        ))
        .add_service(CallPbxServiceServer::with_interceptor(CallService(core), check))
        .serve_with_incoming(connections)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the simulated PAC stopped");
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
