//! Keys, secrets and the audit, for both stores.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::ledger::key::{
    ApiKey, AuditAction, AuditEntry, KeyError, KeyId, KeySecret, LinkKey, MAX_KEYS, Principal, api_key,
};

fn somebody() -> Principal {
    Principal {
        who: "command line (root)".to_owned(),
        key_id: Some(KeyId::mint()),
        origin: "192.0.2.1".to_owned(),
        request_id: Some("r-1".to_owned()),
    }
}

async fn create(store: &LedgerStore, key: &ApiKey) -> Result<(), KeyError> {
    let digest = KeySecret::generate().unwrap().digest();
    store.create_key(key.clone(), digest, somebody()).await
}

async fn names(store: &LedgerStore) -> Vec<(String, bool)> {
    let keys = store.keys().await.unwrap().into_iter();
    keys.map(|(_, key)| (key.name, key.revoked_at.is_some()))
        .collect()
}

async fn actions(store: &LedgerStore) -> Vec<(AuditAction, String)> {
    let entries = store.audit(None, 1_000).await.unwrap().into_iter();
    entries.map(|entry| (entry.action, entry.subject)).collect()
}

async fn keeps_keys(store: &LedgerStore) {
    let generation = store.key_generation().await.unwrap();
    assert_eq!(names(store).await, []);

    // A key comes back as it was.
    let (crm, dialler) = (api_key("crm", Some(&["main", "офис"])), api_key("dialler", None));
    let digest = KeySecret::generate().unwrap().digest();
    store.create_key(crm.clone(), digest, somebody()).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), [(digest, crm.clone())]);
    create(store, &dialler).await.unwrap();
    assert_eq!(store.key_generation().await.unwrap(), generation + 2);

    // Of live keys each has its own name; what was refused left nothing behind.
    let second = api_key("crm", None);
    assert_eq!(create(store, &second).await, Err(KeyError::NameTaken));
    assert_eq!(store.key_generation().await.unwrap(), generation + 2);
    assert_eq!(actions(store).await.len(), 2);

    // Revoking again changes nothing, and the name is free.
    store.revoke_key(crm.id, somebody()).await.unwrap();
    let revoked = store.keys().await.unwrap();
    store.revoke_key(crm.id, somebody()).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), revoked);
    assert_eq!(store.key_generation().await.unwrap(), generation + 3);
    assert_eq!(
        store.revoke_key(KeyId::mint(), somebody()).await,
        Err(KeyError::Unknown)
    );
    create(store, &second).await.unwrap();
    assert_eq!(
        names(store).await,
        [
            ("dialler".to_owned(), false),
            ("crm".to_owned(), false),
            ("crm".to_owned(), true)
        ]
    );

    // The audit has each change once, newest first, and who did it.
    let entries = store.audit(None, 1_000).await.unwrap();
    let told: Vec<AuditAction> = entries.iter().map(|entry| entry.action).collect();
    use AuditAction::{KeyCreated, KeyRevoked};
    assert_eq!(told, [KeyCreated, KeyRevoked, KeyCreated, KeyCreated]);
    assert_eq!(
        entries[3].subject,
        format!("crm ({}): calls:write, cdr:read; main, офис", crm.id)
    );
    assert_eq!(
        (entries[1].subject.as_str(), entries[1].origin.as_str()),
        (format!("crm ({})", crm.id).as_str(), "192.0.2.1")
    );
    // Page by page it is the same.
    let first = store.audit(None, 3).await.unwrap();
    let rest = store.audit(Some(first[2].id), 3).await.unwrap();
    assert_eq!([first, rest].concat(), entries);
}

async fn keeps_secrets(store: &LedgerStore) {
    // Whoever comes first makes it, and all have the same.
    let keys = join_all((0..8).map(|_| store.link_key(LinkKey::generate().unwrap()))).await;
    let first = keys[0].clone().unwrap();
    assert!(keys.into_iter().all(|key| key == Ok(first)));
    // A rotation replaces it, and tells everybody by the generation.
    let generation = store.key_generation().await.unwrap();
    let second = LinkKey::generate().unwrap();
    store.rotate_link_key(second, somebody()).await.unwrap();
    assert_eq!(store.link_key(first).await, Ok(second));
    assert_eq!(store.key_generation().await.unwrap(), generation + 1);
    let (action, _) = actions(store).await.swap_remove(0);
    assert_eq!(action, AuditAction::LinksRotated);
}

async fn changes_come_one_after_another(store: &LedgerStore) {
    let generation = store.key_generation().await.unwrap();
    let name = |i: u32| format!("key-{}", i / 2);
    let keys: Vec<ApiKey> = (0..20).map(|i| api_key(&name(i), None)).collect();
    let done = join_all(keys.iter().map(|key| create(store, key))).await;
    let refused = done.iter().filter(|done| **done == Err(KeyError::NameTaken));
    assert_eq!(refused.count(), 10);
    assert_eq!(store.key_generation().await.unwrap(), generation + 10);
}

async fn forgets_the_audit(store: &LedgerStore) {
    let before = actions(store).await.len();
    let mut entries = Vec::new();
    for day in 0_i64..2_500 {
        let mut entry = AuditEntry::change(AuditAction::RequestRefused, "/livez".to_owned(), somebody());
        entry.at = "2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(day);
        // Ids in the order of time, before all others.
        entry.id.0 = uuid::Uuid::from_u128(u128::try_from(day).unwrap());
        entry.code = Some("unauthenticated".to_owned());
        entry.count = 7;
        entries.push(entry);
    }
    let last = entries[2_499].clone();
    let limit = entries[2_400].at;
    store.write_audit(entries.clone()).await.unwrap();
    // Written again, as where nobody knows whether it was: once is enough.
    store.write_audit(entries).await.unwrap();
    let mut deleted = Vec::new();
    for _ in 0..4 {
        deleted.push(store.delete_old_audit(limit).await.unwrap());
    }
    assert_eq!(deleted, [1_000, 1_000, 400, 0]);
    let left = store.audit(None, 1_000).await.unwrap();
    assert_eq!(left.len(), before + 100);
    assert_eq!(left[before], last);
}

async fn has_a_bound(store: &LedgerStore) {
    let live = store.keys().await.unwrap().len() - 1;
    for i in live..MAX_KEYS as usize {
        create(store, &api_key(&format!("many-{i}"), None)).await.unwrap();
    }
    let one_more = api_key("one-more", None);
    assert_eq!(create(store, &one_more).await, Err(KeyError::TooMany));
}

async fn keeps_the_contract(store: &LedgerStore) {
    keeps_keys(store).await;
    keeps_secrets(store).await;
    changes_come_one_after_another(store).await;
    forgets_the_audit(store).await;
    has_a_bound(store).await;
}

#[actix_rt::test]
async fn sqlite_keeps_the_contract_of_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = LedgerStore::open(&settings(folder.path())).await;
    keeps_the_contract(&store.unwrap()).await;
}

#[actix_rt::test]
async fn sqlite_the_key_that_signs_links_is_read_while_somebody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.timeout_ms = 200;
    let store = LedgerStore::open(&settings).await.unwrap();
    let key = LinkKey::generate().unwrap();
    assert_eq!(store.link_key(key).await, Ok(key));
    let writing = rusqlite::Connection::open(folder.path().join("mege-ledger.sqlite")).unwrap();
    writing.execute_batch("BEGIN IMMEDIATE").unwrap();
    let another = LinkKey::generate().unwrap();
    assert_eq!(store.link_key(another).await, Ok(key));
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn postgres_keeps_the_contract_of_keys() {
    let database = crate::database::testing::fresh_database().await;
    let store = LedgerStore::open(&settings_of(&database)).await;
    keeps_the_contract(&store.unwrap()).await;
}
