//! Keys, secrets and the audit in PostgreSQL.

use async_trait::async_trait;
use deadpool_postgres::{Object, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresLedger;
use crate::database::StoreError;
use crate::ledger::key::{
    ApiKey, AuditAction, AuditEntry, AuditId, KeyError, KeyId, LinkKey, MAX_KEYS, Principal, SecretDigest,
};
use crate::ledger::store::keys::{FORGET, KeyStore, LINK_KEY, bytes32, describe, from_json, to_json};

const KEY: &str = "SELECT id, name, sha256, scopes, pbxs, created_at, revoked_at FROM ledger_key";

const AUDIT: &str =
    "SELECT id, at, action, subject, code, count, who, key_id, origin, request_id FROM ledger_audit";

#[async_trait]
impl KeyStore for PostgresLedger {
    async fn key_generation(&self) -> Result<i64, StoreError> {
        let read = async {
            let connection = self.0.get().await?;
            let statement = connection
                .prepare_cached("SELECT generation FROM ledger_key_generation")
                .await?;
            Ok(connection.query_one(&statement, &[]).await?.try_get(0)?)
        };
        self.0.bounded(read).await
    }

    async fn keys(&self) -> Result<Vec<(SecretDigest, ApiKey)>, StoreError> {
        let read = async {
            let connection = self.0.get().await?;
            let mut keys = Vec::new();
            for condition in [
                "revoked_at IS NULL ORDER BY id",
                "revoked_at IS NOT NULL ORDER BY revoked_at DESC, id DESC",
            ] {
                let select = format!("{KEY} WHERE {condition} LIMIT {MAX_KEYS}");
                for row in connection.query(&select, &[]).await? {
                    keys.push(read_key(&row)?);
                }
            }
            Ok(keys)
        };
        self.0.bounded(read).await
    }

    async fn link_key(&self, proposal: LinkKey) -> Result<LinkKey, StoreError> {
        let settle = async {
            let connection = self.0.get().await?;
            connection
                .execute(
                    "INSERT INTO ledger_secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    &[&LINK_KEY, &proposal.0.as_slice()],
                )
                .await?;
            let row = connection
                .query_one("SELECT value FROM ledger_secret WHERE name = $1", &[&LINK_KEY])
                .await?;
            Ok(LinkKey(bytes32(row.try_get(0)?)?))
        };
        self.0.bounded(settle).await
    }

    async fn create_key(&self, key: ApiKey, digest: SecretDigest, by: Principal) -> Result<(), KeyError> {
        let write = async {
            let mut connection = self.0.get().await?;
            let transaction = begin_change(&mut connection).await?;
            let count = "SELECT count(*) FROM ledger_key WHERE revoked_at IS NULL";
            let live: i64 = transaction.query_one(count, &[]).await?.try_get(0)?;
            if live >= i64::from(MAX_KEYS) {
                return Ok(Some(KeyError::TooMany));
            }
            let inserted = transaction
                .execute(
                    "INSERT INTO ledger_key (id, name, sha256, scopes, pbxs, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                    &[
                        &key.id.0,
                        &key.name,
                        &digest.0.as_slice(),
                        &to_json(&key.scopes)?,
                        &key.pbxs.as_ref().map(to_json).transpose()?,
                        &key.created_at,
                    ],
                )
                .await?;
            if inserted == 0 {
                return Ok(Some(KeyError::NameTaken));
            }
            let entry = AuditEntry::change(AuditAction::KeyCreated, describe(&key), by);
            write_entry(&transaction, &entry).await?;
            transaction.commit().await?;
            Ok(None)
        };
        refused(self.0.bounded(write).await?)
    }

    async fn revoke_key(&self, id: KeyId, by: Principal) -> Result<(), KeyError> {
        let write = async {
            let mut connection = self.0.get().await?;
            let transaction = begin_change(&mut connection).await?;
            let select = "SELECT name, revoked_at FROM ledger_key WHERE id = $1";
            let Some(row) = transaction.query_opt(select, &[&id.0]).await? else {
                return Ok(Some(KeyError::Unknown));
            };
            let (name, revoked_at): (String, Option<Timestamp>) = (row.try_get(0)?, row.try_get(1)?);
            if revoked_at.is_some() {
                return Ok(None);
            }
            let entry = AuditEntry::change(AuditAction::KeyRevoked, format!("{name} ({id})"), by);
            let revoke = "UPDATE ledger_key SET revoked_at = $2 WHERE id = $1";
            transaction.execute(revoke, &[&id.0, &entry.at]).await?;
            write_entry(&transaction, &entry).await?;
            transaction.commit().await?;
            Ok(None)
        };
        refused(self.0.bounded(write).await?)
    }

    async fn rotate_link_key(&self, key: LinkKey, by: Principal) -> Result<(), StoreError> {
        let write = async {
            let mut connection = self.0.get().await?;
            let transaction = begin_change(&mut connection).await?;
            transaction
                .execute(
                    "INSERT INTO ledger_secret (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    &[&LINK_KEY, &key.0.as_slice()],
                )
                .await?;
            let entry = AuditEntry::change(AuditAction::LinksRotated, LINK_KEY.to_owned(), by);
            write_entry(&transaction, &entry).await?;
            Ok(transaction.commit().await?)
        };
        self.0.bounded(write).await
    }

    async fn audit(&self, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let read = async {
            let connection = self.0.get().await?;
            let (before, limit) = (before.map(|AuditId(id)| id), i64::from(limit));
            let select = format!("{AUDIT} WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2");
            let rows = connection.query(&select, &[&before, &limit]).await?;
            rows.iter().map(read_entry).collect()
        };
        self.0.bounded(read).await
    }

    async fn write_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        let write = async {
            let mut connection = self.0.get().await?;
            let transaction = connection.transaction().await?;
            for entry in &entries {
                write_entry(&transaction, entry).await?;
            }
            Ok(transaction.commit().await?)
        };
        self.0.bounded(write).await
    }

    async fn forget_audit(&self, before: Timestamp) -> Result<usize, StoreError> {
        let write = async {
            let connection = self.0.get().await?;
            let delete = format!(
                "DELETE FROM ledger_audit WHERE at < $1 \
                 AND id IN (SELECT id FROM ledger_audit ORDER BY id LIMIT {FORGET})"
            );
            let deleted = connection.execute(&delete, &[&before]).await?;
            Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
        };
        self.0.bounded(write).await
    }
}

/// Begins a transaction that changes a key or a secret; dropping it undoes the increment too. The row it locks lets
/// changes happen one after another, in the order of their numbers.
async fn begin_change(connection: &mut Object) -> Result<Transaction<'_>, StoreError> {
    let transaction = connection.transaction().await?;
    transaction
        .execute(
            "UPDATE ledger_key_generation SET generation = generation + 1",
            &[],
        )
        .await?;
    Ok(transaction)
}

fn refused(refusal: Option<KeyError>) -> Result<(), KeyError> {
    refusal.map_or(Ok(()), Err)
}

async fn write_entry(transaction: &Transaction<'_>, entry: &AuditEntry) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_cached(
            "INSERT INTO ledger_audit (id, at, action, subject, code, count, who, key_id, origin, request_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        )
        .await?;
    transaction
        .execute(
            &statement,
            &[
                &entry.id.0,
                &entry.at,
                &entry.action.as_str(),
                &entry.subject,
                &entry.code,
                &i64::try_from(entry.count).unwrap_or(i64::MAX),
                &entry.who,
                &entry.key_id.map(|KeyId(id)| id),
                &entry.origin,
                &entry.request_id,
            ],
        )
        .await?;
    Ok(())
}

fn read_key(row: &Row) -> Result<(SecretDigest, ApiKey), StoreError> {
    let pbxs: Option<&str> = row.try_get(4)?;
    let key = ApiKey {
        id: KeyId(row.try_get(0)?),
        name: row.try_get(1)?,
        scopes: from_json(row.try_get(3)?)?,
        pbxs: pbxs.map(from_json).transpose()?,
        created_at: row.try_get(5)?,
        revoked_at: row.try_get(6)?,
    };
    Ok((SecretDigest(bytes32(row.try_get(2)?)?), key))
}

fn read_entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let count: i64 = row.try_get(5)?;
    Ok(AuditEntry {
        id: AuditId(row.try_get(0)?),
        at: row.try_get(1)?,
        action: AuditAction::from_name(row.try_get(2)?)
            .ok_or_else(|| StoreError::Decode("an action unknown to this version".to_owned()))?,
        subject: row.try_get(3)?,
        code: row.try_get(4)?,
        count: u64::try_from(count).map_err(|_| StoreError::Decode("a count".to_owned()))?,
        who: row.try_get(6)?,
        key_id: row.try_get::<_, Option<Uuid>>(7)?.map(KeyId),
        origin: row.try_get(8)?,
        request_id: row.try_get(9)?,
    })
}
