//! The server before the actors.

use std::io;
use std::net::TcpListener;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::Instant;

use super::StartError;
use super::drain::drain;
use crate::actor::Placement;
use crate::http::{self, Lifecycle, Tls};
use crate::integrations::Integrations;
use crate::service_manager;
use crate::settings::Settings;
use crate::telemetry;

/// A gateway that listens.
#[derive(Debug)]
pub struct Application {
    listener: TcpListener,
    tls: Option<Tls>,
    settings: Settings,
    integrations: Integrations,
    lifecycle: Lifecycle,
    metrics: PrometheusHandle,
}

impl Application {
    /// Takes the port and starts the actors. Nothing is answered before [`run_until`](Self::run_until).
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(mut settings: Settings, placement: Placement) -> Result<Self, StartError> {
        let metrics = telemetry::metrics()?;
        let tls = Tls::load(&settings.http)?;
        let address = (settings.http.address, settings.http.port);
        let listen = |error| StartError::Listen {
            address: format!("{}:{}", address.0, address.1),
            error,
        };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let integrations = Integrations::spawn(&settings, placement)?;
        // The one that was taken, where any would do: links hold it. Not before: a gateway is known by the one of the settings.
        settings.http.port = port;
        integrations.built().await;
        integrations.stores.keys_read().await;
        let keys = integrations.stores.keys.state();
        let closed = keys.loaded && keys.live == Some(0) && settings.auth.trust.is_empty();
        if closed && !settings.http.address.is_loopback() {
            integrations.stop(settings.http.shutdown_timeout()).await;
            return Err(StartError::NoKeys(settings.http.address));
        }
        Ok(Self {
            listener,
            tls,
            settings,
            integrations,
            lifecycle: Lifecycle::default(),
            metrics,
        })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.settings.http.port
    }

    /// Its actors.
    pub fn integrations(&self) -> &Integrations {
        &self.integrations
    }

    /// Serves until `stop`, then drains: requests first, then the actors.
    ///
    /// # Errors
    /// When the server cannot be started or dies.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let (settings, lifecycle) = (&self.settings, &self.lifecycle);
        let listening = self.listener.try_clone()?;
        let server = http::serve(
            settings,
            self.tls,
            self.integrations.clone(),
            lifecycle.clone(),
            self.metrics,
            self.listener,
        )?;
        let handle = server.handle();
        lifecycle.started();
        let mut served = actix_rt::spawn(server);
        service_manager::ready(settings.http.port).await;
        let ended = tokio::select! {
            ended = &mut served => ended.unwrap_or_else(|error| Err(io::Error::other(error))),
            () = stop => {
                drain(&handle, listening, lifecycle, &settings.http).await;
                Ok(())
            }
        };
        let closed = Instant::now();
        self.integrations.stop(settings.http.shutdown_timeout()).await;
        tracing::info!(
            ms = lifecycle.drained_for().as_millis(),
            integrations_ms = closed.elapsed().as_millis(),
            "stopped"
        );
        ended
    }
}
