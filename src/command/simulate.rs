//! `mege-gateway simulate`.

use std::net::SocketAddr;
use std::time::Duration;

use super::demo::{HOW_PARTIES_BEHAVE, incidents};
use super::{CommandError, say, stop};
use crate::simulator::{Simulator, SimulatorSettings};

/// Between two calls that nobody asked for, about.
const BACKGROUND: Duration = Duration::from_secs(5);

/// Runs the simulated PBX on these ports of loopback until SIGTERM or Ctrl-C.
///
/// # Errors
/// When a port is taken.
pub async fn simulate(faults: bool, ari_port: u16, pac_port: u16) -> Result<(), CommandError> {
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let settings = SimulatorSettings {
        ari: loopback(ari_port),
        pac: loopback(pac_port),
        background_calls: Some(BACKGROUND),
        ..SimulatorSettings::default()
    };
    let stop = stop()?;
    let simulator = Simulator::start(settings.clone()).await?;
    say(&format!(
        "A simulated PBX; nothing is dialled. Stop it with Ctrl-C. For the gateway's environment:\n\n\
         ASTERISK_ARI_HOST={}\n\
         ASTERISK_ARI_PORT={}\n\
         ASTERISK_ARI_CALL_USER={}\n\
         ASTERISK_ARI_CALL_PASSWORD={}\n\
         ASTERISK_PBX3CX_TRUNK_ID={}\n\
         ASTERISK_PBX3CX_OUTGOING_CONTEXT=outgoing\n\
         PAC_HOST={}\n\n{HOW_PARTIES_BEHAVE}",
        simulator.ari_address().ip(),
        simulator.ari_address().port(),
        settings.user,
        settings.password,
        settings.trunks.join(","),
        simulator.pac_address(),
    ))?;
    tokio::select! {
        () = stop => {}
        never = incidents(&simulator, faults) => match never {},
    }
    Ok(())
}
