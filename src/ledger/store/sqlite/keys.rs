//! Keys, secrets and the audit in SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{SqliteLedger, moment, nonsense};
use crate::database::StoreError;
use crate::ledger::key::{
    ApiKey, AuditAction, AuditEntry, AuditId, KeyError, KeyId, LinkKey, MAX_KEYS, Principal, SecretDigest,
};
use crate::ledger::store::keys::{FORGET, KeyStore, LINK_KEY, bytes32, describe, from_json, to_json};

const KEY: &str = "SELECT id, name, sha256, scopes, pbxs, created_at, revoked_at FROM ledger_key";

const AUDIT: &str =
    "SELECT id, at, action, subject, code, count, who, key_id, origin, request_id FROM ledger_audit";

#[async_trait]
impl KeyStore for SqliteLedger {
    async fn key_generation(&self) -> Result<i64, StoreError> {
        let read = |connection: &mut Connection| {
            let select = "SELECT generation FROM ledger_key_generation";
            Ok(connection
                .prepare_cached(select)?
                .query_row([], |row| row.get(0))?)
        };
        self.readers.with(read).await
    }

    async fn keys(&self) -> Result<Vec<(SecretDigest, ApiKey)>, StoreError> {
        let read = |connection: &mut Connection| {
            let mut keys = Vec::new();
            for condition in [
                "revoked_at IS NULL ORDER BY id",
                "revoked_at IS NOT NULL ORDER BY revoked_at DESC, id DESC",
            ] {
                let mut select =
                    connection.prepare_cached(&format!("{KEY} WHERE {condition} LIMIT {MAX_KEYS}"))?;
                let mut rows = select.query([])?;
                while let Some(row) = rows.next()? {
                    keys.push(read_key(row)?);
                }
            }
            Ok(keys)
        };
        self.readers.with(read).await
    }

    async fn link_key(&self, proposal: LinkKey) -> Result<LinkKey, StoreError> {
        // Keys are read with it: a revocation must not wait for whoever writes.
        let read = |connection: &mut Connection| read_link_key(connection);
        if let Some(key) = self.readers.with(read).await? {
            return Ok(key);
        }
        let settle = move |connection: &mut Connection| {
            connection.execute(
                "INSERT INTO ledger_secret (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![LINK_KEY, proposal.0],
            )?;
            Ok(read_link_key(connection)?.unwrap_or(proposal))
        };
        self.writer.with(settle).await
    }

    async fn create_key(&self, key: ApiKey, digest: SecretDigest, by: Principal) -> Result<(), KeyError> {
        let write = move |connection: &mut Connection| {
            let transaction = begin_change(connection)?;
            let count = "SELECT count(*) FROM ledger_key WHERE revoked_at IS NULL";
            let live: u32 = transaction.query_row(count, [], |row| row.get(0))?;
            if live >= MAX_KEYS {
                return Ok(Some(KeyError::TooMany));
            }
            let inserted = transaction.execute(
                "INSERT INTO ledger_key (id, name, sha256, scopes, pbxs, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                params![
                    key.id.to_string(),
                    key.name,
                    digest.0,
                    to_json(&key.scopes)?,
                    key.pbxs.as_ref().map(to_json).transpose()?,
                    key.created_at.as_microsecond(),
                ],
            )?;
            if inserted == 0 {
                return Ok(Some(KeyError::NameTaken));
            }
            let entry = AuditEntry::change(AuditAction::KeyCreated, describe(&key), by);
            write_entry(&transaction, &entry)?;
            transaction.commit()?;
            Ok(None)
        };
        refused(self.writer.with(write).await?)
    }

    async fn revoke_key(&self, id: KeyId, by: Principal) -> Result<(), KeyError> {
        let write = move |connection: &mut Connection| {
            let transaction = begin_change(connection)?;
            let select = "SELECT name, revoked_at FROM ledger_key WHERE id = ?1";
            let found: Option<(String, Option<i64>)> = transaction
                .query_row(select, [id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let name = match found {
                None => return Ok(Some(KeyError::Unknown)),
                Some((_, Some(_))) => return Ok(None),
                Some((name, None)) => name,
            };
            let entry = AuditEntry::change(AuditAction::KeyRevoked, format!("{name} ({id})"), by);
            transaction.execute(
                "UPDATE ledger_key SET revoked_at = ?2 WHERE id = ?1",
                params![id.to_string(), entry.at.as_microsecond()],
            )?;
            write_entry(&transaction, &entry)?;
            transaction.commit()?;
            Ok(None)
        };
        refused(self.writer.with(write).await?)
    }

    async fn rotate_link_key(&self, key: LinkKey, by: Principal) -> Result<(), StoreError> {
        let write = move |connection: &mut Connection| {
            let transaction = begin_change(connection)?;
            transaction.execute(
                "INSERT INTO ledger_secret (name, value) VALUES (?1, ?2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                params![LINK_KEY, key.0],
            )?;
            let entry = AuditEntry::change(AuditAction::LinksRotated, LINK_KEY.to_owned(), by);
            write_entry(&transaction, &entry)?;
            Ok(transaction.commit()?)
        };
        self.writer.with(write).await
    }

    async fn audit(&self, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let read = move |connection: &mut Connection| {
            let before = before.map(|AuditId(id)| id.to_string());
            let select = format!("{AUDIT} WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2");
            Ok(connection
                .prepare_cached(&select)?
                .query_map(params![before, limit], read_entry)?
                .collect::<rusqlite::Result<_>>()?)
        };
        self.readers.with(read).await
    }

    async fn write_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        let write = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for entry in &entries {
                write_entry(&transaction, entry)?;
            }
            Ok(transaction.commit()?)
        };
        self.writer.with(write).await
    }

    async fn forget_audit(&self, before: Timestamp) -> Result<usize, StoreError> {
        let write = move |connection: &mut Connection| {
            Ok(connection.execute(
                "DELETE FROM ledger_audit WHERE at < ?1 \
                 AND id IN (SELECT id FROM ledger_audit ORDER BY id LIMIT ?2)",
                params![before.as_microsecond(), FORGET],
            )?)
        };
        self.writer.with(write).await
    }
}

/// Begins a transaction that changes a key or a secret; dropping it undoes the increment too.
fn begin_change(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE ledger_key_generation SET generation = generation + 1", [])?;
    Ok(transaction)
}

fn refused(refusal: Option<KeyError>) -> Result<(), KeyError> {
    refusal.map_or(Ok(()), Err)
}

fn write_entry(transaction: &Transaction<'_>, entry: &AuditEntry) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO ledger_audit (id, at, action, subject, code, count, who, key_id, origin, request_id) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            entry.id.0.to_string(),
            entry.at.as_microsecond(),
            entry.action.as_str(),
            entry.subject,
            entry.code,
            i64::try_from(entry.count).unwrap_or(i64::MAX),
            entry.who,
            entry.key_id.map(|id| id.to_string()),
            entry.origin,
            entry.request_id,
        ])?;
    Ok(())
}

fn read_link_key(connection: &Connection) -> Result<Option<LinkKey>, StoreError> {
    let select = "SELECT value FROM ledger_secret WHERE name = ?1";
    let value: Option<Vec<u8>> = connection
        .prepare_cached(select)?
        .query_row([LINK_KEY], |row| row.get(0))
        .optional()?;
    value.map(|value| Ok(LinkKey(bytes32(&value)?))).transpose()
}

fn read_key(row: &Row<'_>) -> Result<(SecretDigest, ApiKey), StoreError> {
    let (digest, scopes, pbxs): (Vec<u8>, String, Option<String>) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let key = ApiKey {
        id: KeyId(uuid(row, 0)?.ok_or_else(|| nonsense(0, "no id"))?),
        name: row.get(1)?,
        scopes: from_json(&scopes)?,
        pbxs: pbxs.as_deref().map(from_json).transpose()?,
        created_at: moment(row, 5)?.ok_or_else(|| nonsense(5, "no moment"))?,
        revoked_at: moment(row, 6)?,
    };
    Ok((SecretDigest(bytes32(&digest)?), key))
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let action: String = row.get(2)?;
    Ok(AuditEntry {
        id: AuditId(uuid(row, 0)?.ok_or_else(|| nonsense(0, "no id"))?),
        at: moment(row, 1)?.ok_or_else(|| nonsense(1, "no moment"))?,
        action: AuditAction::from_name(&action)
            .ok_or_else(|| nonsense(2, "an action unknown to this version"))?,
        subject: row.get(3)?,
        code: row.get(4)?,
        count: u64::try_from(row.get::<_, i64>(5)?).map_err(|error| nonsense(5, error))?,
        who: row.get(6)?,
        key_id: uuid(row, 7)?.map(KeyId),
        origin: row.get(8)?,
        request_id: row.get(9)?,
    })
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| Uuid::try_parse(&text).map_err(|error| nonsense(column, error)))
        .transpose()
}
