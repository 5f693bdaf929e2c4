//! Logs, panics and metrics of the process.

#[cfg(test)]
pub(crate) mod testing;

use std::panic::PanicHookInfo;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::metric;
use crate::printable::LogLines;
use crate::settings::{LogFormat, LogSettings};

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How often histograms take in what was recorded.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Directives that are none.
    #[error("the log filter makes no sense: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Metrics could not be prepared.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(String),
}

/// Sends logs to standard error and panics to the logs. A second call changes nothing.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn init(settings: &LogSettings) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&settings.filter)?;
    let log = || LogLines(std::io::stderr());
    let lines = match settings.format {
        // Without colours: they could not be told from those of a peer's words.
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(log).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(log).boxed(),
    };
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_err()
    {
        tracing::debug!("logs were set up before");
    }
    log_panics();
    Ok(())
}

/// Has every panic logged with its thread and place, wherever it is caught later.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(log_panic)));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("a panic without a text");
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        place,
        message,
        "panic"
    );
}

/// The process's metrics, to be rendered for Prometheus; the first call installs them.
///
/// # Errors
/// When they cannot be prepared.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    HANDLE
        .get_or_init(|| install().map_err(|error| error.to_string()))
        .clone()
        .map_err(TelemetryError::Metrics)
}

fn install() -> Result<PrometheusHandle, BuildError> {
    let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    metric::describe();
    metrics_process::Collector::default().describe();
    Ok(handle)
}

/// Keeps the histograms small where nobody asks for them; never ends.
///
/// # Cancel safety
/// Safe: the next call takes in what this one left.
pub async fn run_upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

/// Brings what the system tells of the process up to date: its processor time, memory, threads and descriptors.
pub fn record_process() {
    metrics_process::Collector::default().collect();
}
