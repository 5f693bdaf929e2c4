//! Keys, secrets and the audit.
//!
//! Each change increments the generation in its own transaction and writes its entry of the audit there: who reads the
//! generation, then the keys, has at least that generation's keys.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::LedgerStore;
use crate::database::{FromRow, Json, Row, Session, StoreError, Value, params};
use crate::ledger::key::{
    ApiKey, AuditAction, AuditEntry, AuditId, KeyError, KeyId, LinkKey, MAX_KEYS, Principal, Scope,
    SecretDigest,
};

/// Entries of the audit that one statement deletes, at most: it holds nobody up for long.
pub(in crate::ledger) const DELETE_LIMIT: u32 = 1_000;

/// The name of the key that signs links.
const LINK_KEY: &str = "link_key";

const LIVE_KEYS: &str = "SELECT id, name, sha256, scopes, pbxs, created_at, revoked_at FROM ledger_key \
     WHERE revoked_at IS NULL ORDER BY id LIMIT $1";

const REVOKED_KEYS: &str = "SELECT id, name, sha256, scopes, pbxs, created_at, revoked_at FROM ledger_key \
     WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC, id DESC LIMIT $1";

const SECRET: &str = "SELECT value FROM ledger_secret WHERE name = $1";

impl FromRow for (SecretDigest, ApiKey) {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let (Json(scopes), pbxs): (Json<Vec<String>>, Option<Json<BTreeSet<String>>>) =
            (row.get(3)?, row.get(4)?);
        // One of a later version, beside this one on the ledger, lets nobody do anything here.
        let scopes = scopes.iter().filter_map(|name| Scope::parse(name)).collect();
        let key = ApiKey {
            id: KeyId(row.get(0)?),
            name: row.get(1)?,
            scopes,
            pbxs: pbxs.map(|Json(pbxs)| pbxs),
            created_at: row.get(5)?,
            revoked_at: row.get(6)?,
        };
        Ok((SecretDigest(row.get(2)?), key))
    }
}

impl FromRow for AuditEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let (action, count): (String, i64) = (row.get(2)?, row.get(5)?);
        Ok(Self {
            id: AuditId(row.get(0)?),
            at: row.get(1)?,
            action: AuditAction::parse(&action)
                .ok_or_else(|| StoreError::Decode("an action unknown to this version".to_owned()))?,
            subject: row.get(3)?,
            code: row.get(4)?,
            count: u64::try_from(count).map_err(|_| StoreError::Decode("a count".to_owned()))?,
            who: row.get(6)?,
            key_id: row.get::<Option<_>>(7)?.map(KeyId),
            origin: row.get(8)?,
            request_id: row.get(9)?,
        })
    }
}

impl LedgerStore {
    /// A number that is another after each change of a key or a secret.
    pub(in crate::ledger) async fn key_generation(&self) -> Result<i64, StoreError> {
        let select = "SELECT generation FROM ledger_key_generation";
        self.database.query_one(select, params![]).await
    }

    /// Every live key, oldest first, then the latest of those that were revoked.
    pub(in crate::ledger) async fn keys(&self) -> Result<Vec<(SecretDigest, ApiKey)>, StoreError> {
        let read = async move |session: &Session<'_>| {
            let mut keys = session.query(LIVE_KEYS, params![i64::from(MAX_KEYS)]).await?;
            keys.extend(session.query(REVOKED_KEYS, params![i64::from(MAX_KEYS)]).await?);
            Ok(keys)
        };
        self.database.read(read).await
    }

    /// The key that signs links: `proposal`, unless there is one already.
    pub(in crate::ledger) async fn link_key(&self, proposal: LinkKey) -> Result<LinkKey, StoreError> {
        // Keys are read with it: a revocation must not wait for whoever writes.
        if let Some(key) = self.database.query(SECRET, params![LINK_KEY]).await?.pop() {
            return Ok(LinkKey(key));
        }
        let settle = async move |session: &Session<'_>| {
            let insert = "INSERT INTO ledger_secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            session.execute(insert, params![LINK_KEY, proposal.0]).await?;
            Ok(LinkKey(session.query_one(SECRET, params![LINK_KEY]).await?))
        };
        self.database.write(settle).await
    }

    /// Keeps a key.
    pub(in crate::ledger) async fn create_key(
        &self,
        key: ApiKey,
        digest: SecretDigest,
        by: Principal,
    ) -> Result<(), KeyError> {
        let write = async move |session: &Session<'_>| {
            lock(session).await?;
            let count = "SELECT count(*) FROM ledger_key WHERE revoked_at IS NULL";
            if session.query_one::<i64>(count, params![]).await? >= i64::from(MAX_KEYS) {
                return Err(KeyError::TooMany);
            }
            let insert = "INSERT INTO ledger_key (id, name, sha256, scopes, pbxs, created_at) \
                          VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            let subject = describe(&key);
            let pbxs = key.pbxs.as_ref().map(Value::json).transpose()?;
            let scopes = Value::json(&key.scopes)?;
            let values = params![key.id.0, key.name, digest.0, scopes, pbxs, key.created_at];
            if session.execute(insert, values).await? == 0 {
                return Err(KeyError::NameTaken);
            }
            let entry = AuditEntry::change(AuditAction::KeyCreated, subject, by);
            Ok(record(session, entry).await?)
        };
        self.database.write(write).await
    }

    /// Revokes a key; one that is revoked already stays as it is.
    pub(in crate::ledger) async fn revoke_key(&self, id: KeyId, by: Principal) -> Result<(), KeyError> {
        let write = async move |session: &Session<'_>| {
            lock(session).await?;
            let select = "SELECT name, revoked_at FROM ledger_key WHERE id = $1";
            let found: Option<(String, Option<Timestamp>)> = session.query_opt(select, params![id.0]).await?;
            let (name, revoked_at) = found.ok_or(KeyError::Unknown)?;
            if revoked_at.is_some() {
                return Ok(());
            }
            let entry = AuditEntry::change(AuditAction::KeyRevoked, format!("{name} ({id})"), by);
            let revoke = "UPDATE ledger_key SET revoked_at = $2 WHERE id = $1";
            session.execute(revoke, params![id.0, entry.at]).await?;
            Ok(record(session, entry).await?)
        };
        self.database.write(write).await
    }

    /// Puts this key in the place of the one that signs links.
    pub(in crate::ledger) async fn rotate_link_key(
        &self,
        key: LinkKey,
        by: Principal,
    ) -> Result<(), StoreError> {
        let write = async move |session: &Session<'_>| {
            lock(session).await?;
            let upsert = "INSERT INTO ledger_secret (name, value) VALUES ($1, $2) \
                          ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            session.execute(upsert, params![LINK_KEY, key.0]).await?;
            let entry = AuditEntry::change(AuditAction::LinksRotated, LINK_KEY.to_owned(), by);
            record(session, entry).await
        };
        self.database.write(write).await
    }

    /// Entries of the audit, newest first.
    pub(in crate::ledger) async fn audit(
        &self,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let select = "SELECT id, at, action, subject, code, count, who, key_id, origin, request_id \
                      FROM ledger_audit WHERE id < $1 ORDER BY id DESC LIMIT $2";
        let before = before.map_or(uuid::Uuid::max(), |AuditId(id)| id);
        self.database
            .query(select, params![before, i64::from(limit)])
            .await
    }

    /// Writes entries of the audit in one commit; those that are there already stay as they are.
    pub(in crate::ledger) async fn write_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        let write = async move |session: &Session<'_>| {
            for entry in entries {
                write_entry(session, entry).await?;
            }
            Ok(())
        };
        self.database.write(write).await
    }

    /// Deletes entries from before that time, at most [`DELETE_LIMIT`] of them; says how many.
    pub(in crate::ledger) async fn delete_old_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        let delete = "DELETE FROM ledger_audit WHERE at < $1 \
                      AND id IN (SELECT id FROM ledger_audit ORDER BY id LIMIT $2)";
        self.database
            .execute(delete, params![before, i64::from(DELETE_LIMIT)])
            .await
    }
}

/// Begins a change of a key or a secret: with the row locked, changes happen one after another, in the order of their
/// generations.
async fn lock(session: &Session<'_>) -> Result<(), StoreError> {
    let lock = "UPDATE ledger_key_generation SET generation = generation";
    session.execute(lock, params![]).await?;
    Ok(())
}

/// Ends a change that was made: with a generation of its own, and its entry in the audit.
async fn record(session: &Session<'_>, entry: AuditEntry) -> Result<(), StoreError> {
    let increment = "UPDATE ledger_key_generation SET generation = generation + 1";
    session.execute(increment, params![]).await?;
    write_entry(session, entry).await
}

async fn write_entry(session: &Session<'_>, entry: AuditEntry) -> Result<(), StoreError> {
    let insert = "INSERT INTO ledger_audit (id, at, action, subject, code, count, who, key_id, origin, request_id) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
    let values = params![
        entry.id.0,
        entry.at,
        entry.action.as_str(),
        entry.subject,
        entry.code,
        i64::try_from(entry.count).unwrap_or(i64::MAX),
        entry.who,
        entry.key_id.map(|KeyId(id)| id),
        entry.origin,
        entry.request_id,
    ];
    session.execute(insert, values).await?;
    Ok(())
}

/// What the audit says a created key is.
fn describe(key: &ApiKey) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let pbxs = match &key.pbxs {
        None => "every PBX".to_owned(),
        Some(pbxs) => pbxs.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    format!("{} ({}): {}; {pbxs}", key.name, key.id, scopes.join(", "))
}
