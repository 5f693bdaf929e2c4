//! `mege-gateway migrate`.

use std::path::PathBuf;

use super::{CommandError, say, settings};
use crate::database::{Schema, StoreError};
use crate::{cdr, ledger};

/// Brings the schemas of both stores up to date, as a start would, and says from which version to which.
///
/// # Errors
/// When the configuration cannot be used, or a store not be reached; the other one is brought up to date all the same.
pub async fn migrate(file: Option<PathBuf>) -> Result<(), CommandError> {
    let store = settings(file)?.store;
    let cdr = async {
        let schema = cdr::store_schema(&store).await?;
        cdr::open_store(&store).await.map(|_| schema)
    };
    let cdr = tell("cdr", cdr.await)?;
    let ledger = async {
        let schema = ledger::ledger_schema(&store).await?;
        ledger::migrate_ledger(&store).await.map(|()| schema)
    };
    let ledger = tell("ledger", ledger.await)?;
    if cdr && ledger {
        Ok(())
    } else {
        Err(CommandError::Migrate)
    }
}

fn tell(store: &str, done: Result<Schema, StoreError>) -> Result<bool, CommandError> {
    match &done {
        Ok(Schema { found, known, .. }) if found == known => {
            say(&format!("{store}: version {known}, up to date"))?
        }
        Ok(Schema { found: 0, known, .. }) => say(&format!("{store}: made, version {known}"))?,
        Ok(Schema { found, known, .. }) => say(&format!("{store}: from version {found} to {known}"))?,
        Err(error) => say(&format!("{store}: failed: {error}"))?,
    }
    Ok(done.is_ok())
}
