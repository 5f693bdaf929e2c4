//! `mege-gateway keys`.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use tokio::time::Instant;

use super::check::usable;
use super::{CommandError, say, settings};
use crate::actor::{AskError, Placement};
use crate::integrations::ledger_settings;
use crate::ledger::key::{
    ApiKey, AuditEntry, CreateKey, KeyError, ListAudit, ListKeys, NewKey, Principal, RevokeKey, RotateLinkKey,
};
use crate::ledger::{self, LedgerHandle};

/// How long one request to the ledger may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is done about keys.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once, on standard output.
    Create {
        /// The key's name: up to 64 letters, digits, dots, dashes and underscores.
        #[arg(long)]
        name: String,
        /// What it is good for: calls:write, calls:read, cdr:read, recordings:read, status:read or admin.
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// A PBX that it may see, by the name in the settings; all of them when none is named.
        #[arg(long = "pbx", value_name = "NAME")]
        pbxs: Vec<String>,
    },
    /// List the keys, those that were revoked last.
    List,
    /// Revoke a key: gateways on the ledger refuse it within a second.
    Revoke {
        /// The name of a key that holds, or any key's id.
        #[arg(value_name = "NAME_OR_ID")]
        key: String,
    },
    /// Replace the key that signs links to recordings: every link made before stops working.
    RotateLinks,
    /// Show what was done to keys, links and integrations, and whose requests were refused, newest first.
    Audit {
        /// How many entries, 1 to 1000.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        last: u32,
    },
}

/// Does it in the ledger that the settings name, whether or not a gateway runs on it.
///
/// # Errors
/// When the configuration or the ledger cannot be used, or what is asked for cannot be done.
pub async fn keys(file: Option<PathBuf>, what: KeysCommand) -> Result<(), CommandError> {
    let settings = settings(file)?;
    let ledger = ledger::spawn(ledger_settings(&settings), Placement::Dedicated);
    usable(ledger.health()).await.map_err(CommandError::Ledger)?;
    let done = match what {
        KeysCommand::Create { name, scopes, pbxs } => {
            let pbxs = (!pbxs.is_empty()).then_some(pbxs.as_slice());
            let key = NewKey::parse(&name, &scopes, pbxs, &settings.pbx_names())?;
            create(&ledger, key).await
        }
        KeysCommand::List => list(&ledger).await,
        KeysCommand::Revoke { key } => revoke(&ledger, &key).await,
        KeysCommand::RotateLinks => rotate_links(&ledger).await,
        KeysCommand::Audit { last } => audit(&ledger, last).await,
    };
    ledger.stop(deadline()).await;
    done
}

fn deadline() -> Instant {
    Instant::now() + TIMEOUT
}

async fn create(ledger: &LedgerHandle, key: NewKey) -> Result<(), CommandError> {
    let by = principal();
    let created = ledger.ask(CreateKey { key, by }, deadline()).await?;
    // Words apart from the key: a script takes the output as it is.
    tell(&format!(
        "key {} ({}) was made; this is the only time that it is shown:",
        created.key.name, created.key.id
    ))?;
    say(created.secret.expose())?;
    Ok(())
}

async fn list(ledger: &LedgerHandle) -> Result<(), CommandError> {
    let keys = ledger.ask(ListKeys, deadline()).await?;
    if keys.is_empty() {
        tell("there are no keys")?;
    }
    for key in &keys {
        say(&line(key))?;
    }
    Ok(())
}

fn line(key: &ApiKey) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let state = match key.revoked_at {
        None => "live".to_owned(),
        Some(at) => format!("revoked {at:.0}"),
    };
    format!(
        "{}  {}  {}  {}  made {:.0}  {state}",
        key.id,
        key.name,
        scopes.join(","),
        key.pbxs.as_ref().map_or_else(|| "every PBX".to_owned(), listed),
        key.created_at,
    )
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

async fn revoke(ledger: &LedgerHandle, name_or_id: &str) -> Result<(), CommandError> {
    let keys = ledger.ask(ListKeys, deadline()).await?;
    // Live ones come first.
    let meant = |key: &&ApiKey| key.name == name_or_id || key.id.to_string() == name_or_id;
    let Some(key) = keys.iter().find(meant) else {
        return Err(AskError::Reply(KeyError::Unknown).into());
    };
    if key.revoked_at.is_some() {
        tell(&format!("key {} ({}) was revoked before", key.name, key.id))?;
        return Ok(());
    }
    let by = principal();
    ledger.ask(RevokeKey { id: key.id, by }, deadline()).await?;
    tell(&format!("key {} ({}) is revoked", key.name, key.id))?;
    Ok(())
}

async fn rotate_links(ledger: &LedgerHandle) -> Result<(), CommandError> {
    let by = principal();
    ledger.ask(RotateLinkKey { by }, deadline()).await?;
    tell("every link to a recording that was made before is void")?;
    Ok(())
}

async fn audit(ledger: &LedgerHandle, limit: u32) -> Result<(), CommandError> {
    let before = None;
    for entry in ledger.ask(ListAudit { before, limit }, deadline()).await? {
        say(&told(&entry))?;
    }
    Ok(())
}

fn told(entry: &AuditEntry) -> String {
    format!(
        "{:.0}  {}  {}  {}  x{}  by {} from {}",
        entry.at,
        entry.action.as_str(),
        entry.subject,
        entry.code.as_deref().unwrap_or("-"),
        entry.count,
        entry.who,
        entry.origin,
    )
}

/// For people, on standard error.
fn tell(words: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{words}")
}

/// Who works here, as the audit has it.
fn principal() -> Principal {
    let id = rustix::process::getuid().as_raw();
    let user = user_name(Path::new("/etc/passwd"), id).unwrap_or_else(|| format!("user id {id}"));
    Principal {
        who: format!("command line ({user})"),
        key_id: None,
        origin: gethostname::gethostname().to_string_lossy().into_owned(),
        request_id: None,
    }
}

/// A user's name, where the machine keeps it in a file.
fn user_name(passwd: &Path, id: u32) -> Option<String> {
    let text = std::fs::read_to_string(passwd).ok()?;
    let id = id.to_string();
    let mut users = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.get(2).is_some_and(|field| *field == id))?;
    user.first().map(|&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        std::fs::write(
            &file,
            "root:x:0:0:root:/root:/bin/sh\nmege:x:998:998::/:/bin/false\n",
        )
        .unwrap();
        assert_eq!(user_name(&file, 998).as_deref(), Some("mege"));
        assert_eq!(user_name(&file, 99), None);
        assert_eq!(user_name(&folder.path().join("none"), 0), None);
    }
}
