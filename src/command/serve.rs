//! `mege-gateway serve`.

use std::path::PathBuf;
use std::pin::pin;

use super::{CommandError, settings, stop};
use crate::actor::Placement;
use crate::startup::Application;
use crate::telemetry;

/// Runs the gateway until SIGTERM or Ctrl-C.
///
/// # Errors
/// When the configuration cannot be used or the port not be had. An integration that is down is no error.
pub async fn serve(file: Option<PathBuf>) -> Result<(), CommandError> {
    let settings = settings(file)?;
    telemetry::init(&settings.log)?;
    let (scheme, address) = (settings.http.scheme, settings.http.address);
    let mut stop = pin!(stop()?);
    let application = tokio::select! {
        built = Application::build(settings, Placement::Dedicated) => built?,
        // No request was taken, so nobody waits, and the actors may be cut off anywhere, as by a crash.
        () = &mut stop => {
            tracing::info!("stopped before the start was done");
            return Ok(());
        }
    };
    tracing::info!(%scheme, %address, port = application.port(), "listening");
    application.run_until(stop).await?;
    Ok(())
}
