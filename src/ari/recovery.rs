//! What the ledger remembers for an Asterisk's actor, asked for until it answers. The questions go past pauses and open
//! circuits: without the answers an actor would take another name for as long as it runs.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::actor::{AskError, Backoff};
use crate::call::Call;
use crate::database::StoreError;
use crate::ledger::{GetInstance, LedgerHandle, ListOpenCalls};

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection to Asterisk waits for the ledger.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(5);

const RETRY: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));

/// Which gateway this is. Without the ledger the provisional name does: calls must not wait for a disk.
pub(super) async fn instance(ledger: LedgerHandle, provisional: String) -> String {
    let give_up = Instant::now() + INSTANCE_TIMEOUT;
    let mut attempt = 0;
    while Instant::now() < give_up {
        match ledger.control(GetInstance, Instant::now() + TIMEOUT).await {
            Ok(instance) => return instance,
            Err(error) => tracing::debug!(%error, "the ledger does not say which gateway this is"),
        }
        sleep(RETRY.delay(attempt)).await;
        attempt += 1;
    }
    tracing::warn!(
        instance = provisional,
        "the ledger is not usable: this gateway goes by a provisional name"
    );
    provisional
}

/// The calls of this gateway that were not over when its process last ended, by whichever name it had placed them.
pub(super) async fn open_calls(ledger: LedgerHandle, integration: String) -> Vec<Call> {
    let mut attempt = 0;
    loop {
        let question = ListOpenCalls {
            integration: integration.clone(),
        };
        match ledger.control(question, Instant::now() + TIMEOUT).await {
            Ok(calls) => return calls,
            Err(error @ AskError::Reply(StoreError::Decode(_))) if attempt == 0 => {
                tracing::warn!(%error, "the ledger cannot list its open calls: what lives on Asterisk is not followed");
            }
            Err(error) => tracing::debug!(%error, "the ledger does not list its open calls"),
        }
        sleep(RETRY.delay(attempt)).await;
        attempt += 1;
    }
}
