//! The actor that owns the connection to one PAC.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext as _, Context, Handler, ResponseFuture};
use tokio::time::sleep;
use tonic::transport::Endpoint;

use super::client::Client;
use super::error::InvalidPacAddress;
use super::messages::{ExecuteSql, MakeCall};
use crate::actor::{self, ActorHandle, Ask, Backoff, Class, Placement, Reply, Spawn};
use crate::settings::PacSettings;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The pings on an established connection, busy or idle: a dead one is found within twice this.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long PAC may be silent before it is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Between probes of a PAC that does not answer.
const PROBE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// The way to one PAC.
pub type PacHandle = ActorHandle<PacActor>;

/// Owns the connection to one PAC; reached through its [`PacHandle`].
#[derive(derive_more::Debug)]
#[debug("PacActor")]
pub struct PacActor {
    client: Client,
}

/// Starts the actor `pac.{name}`. It needs no PAC to start: it connects by itself, again and again.
///
/// # Errors
/// When the address in `settings` is not `host:port`.
pub fn spawn(
    name: &str,
    settings: PacSettings,
    placement: Placement,
) -> Result<PacHandle, InvalidPacAddress> {
    let endpoint = endpoint(name, &settings.address)?;
    let spawn = Spawn::new(
        format!("pac.{name}"),
        placement,
        vec![
            (Class::Read, settings.limits),
            (Class::Originate, settings.limits),
        ],
    );
    let name = name.to_owned();
    // Built on the actor's own thread, so that the connection lives and dies there.
    Ok(actor::spawn(spawn, move |health| PacActor {
        client: Client::new(&name, &settings, &endpoint, health),
    }))
}

fn endpoint(name: &str, address: &str) -> Result<Endpoint, InvalidPacAddress> {
    let invalid = || InvalidPacAddress {
        name: name.to_owned(),
        address: address.to_owned(),
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| invalid())?;
    let uri = endpoint.uri();
    let whole = uri
        .authority()
        .is_some_and(|authority| authority.as_str() == address);
    let host = uri.host().unwrap_or_default();
    if !whole || address.contains('@') || host.is_empty() || uri.port_u16().is_none() {
        return Err(invalid());
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true))
}

impl Actor for PacActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Within the context: it ends with this life, and a panic in it is the actor's.
        ctx.spawn(wrap_future(keep_probing(self.client.clone())));
    }
}

/// Knows without traffic whether PAC answers: asks it when it was silent for a while or a request met a failure, and
/// ever less often while it is away.
async fn keep_probing(client: Client) {
    let mut failures = 0;
    loop {
        if client.probe().await {
            failures = 0;
            client.reachability().idle(PROBE_INTERVAL).await;
        }
        // After a failure too: what just failed needs a moment.
        sleep(PROBE_BACKOFF.delay(failures)).await;
        failures = failures.saturating_add(1);
    }
}

impl Handler<Ask<ExecuteSql>> for PacActor {
    type Result = ResponseFuture<Reply<ExecuteSql>>;

    fn handle(&mut self, ask: Ask<ExecuteSql>, _: &mut Self::Context) -> Self::Result {
        let client = self.client.clone();
        // To the end, since its outcome is counted; the client keeps the deadline.
        ask.run_to_end(move |request, deadline| async move {
            client.execute_sql(&request.statement, deadline).await
        })
    }
}

impl Handler<Ask<MakeCall>> for PacActor {
    type Result = ResponseFuture<Reply<MakeCall>>;

    fn handle(&mut self, ask: Ask<MakeCall>, _: &mut Self::Context) -> Self::Result {
        let client = self.client.clone();
        ask.run_to_end(move |call, deadline| async move { client.make_call(call, deadline).await })
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_address_is_host_and_port() {
        for address in ["pac:2838", "10.0.0.1:2838", "[::1]:2838"] {
            assert!(endpoint("main", address).is_ok(), "{address}");
        }
        for address in [
            "",
            "pac",
            ":2838",
            "pac:",
            "pac:99999",
            "http://pac:2838",
            "pac:2838/x",
            "pac:2838?x",
            "me@pac:2838",
            "a b:1",
        ] {
            assert!(endpoint("main", address).is_err(), "{address}");
        }
    }
}
