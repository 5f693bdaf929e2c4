//! The contract's suite, for both stores.

mod keys;
mod search;

use super::*;
use crate::actor::Limits;
use crate::call::tests::call;
use crate::call::{CallId, CallState, Direction, Leg, Mode, Origin, RequestedBy};
use crate::telephony::HangupCause;

/// A gateway whose calls have the instance that calls in tests have.
const HOST: &str = "host:0";

pub(super) fn settings_of(url: &str) -> StoreSettings {
    StoreSettings {
        url: url.to_owned().try_into().unwrap(),
        connections: 4,
        timeout_ms: 60_000,
        limits: Limits::default(),
    }
}

/// Of a ledger in a file in that folder.
pub(in crate::ledger) fn settings(folder: &Path) -> StoreSettings {
    settings_of(&format!("sqlite:{}", folder.join("mege.sqlite").display()))
}

pub(super) fn bridged() -> Call {
    let mut call = call();
    let at = Some("2026-11-22T10:00:05.000001Z".parse().unwrap());
    call.state = CallState::Bridged;
    call.revision = 4;
    (call.ringing_at, call.answered_at, call.bridged_at) = (at, at, at);
    for (channel, cause) in [("first", None), ("second", Some(HangupCause::BUSY))] {
        call.legs.push(Leg {
            answered_at: at,
            ended_at: cause.and(at),
            cause,
            ..Leg::new(
                channel.to_owned(),
                format!("PJSIP/3cx-{channel}"),
                call.created_at,
            )
        });
    }
    call
}

/// One with everything that can be known of a call.
fn full() -> Call {
    let mut call = bridged();
    call.legs[0].ringing_at = call.ringing_at;
    Call {
        origin: Origin::Observed,
        direction: Direction::Inbound,
        mode: Mode::Pac,
        external_number: Some("+79102223311".to_owned()),
        external_name: Some("Ivan".to_owned()),
        requested_by: Some(RequestedBy {
            key: Some("crm".to_owned()),
            extension: Some("102".to_owned()),
        }),
        external_id: Some("lead-17".to_owned()),
        metadata: [("campaign".to_owned(), "spring".to_owned())].into(),
        ..call
    }
}

/// Two calls of an earlier schema: one with legs, one without.
pub(super) fn of_earlier_schema() -> [Call; 2] {
    let mut legless = bridged();
    legless.legs.clear();
    [bridged(), legless]
}

/// They are as they were, and a new revision finds its row.
pub(super) async fn came_along(store: &LedgerStore, calls: [Call; 2]) {
    for mut call in calls {
        assert_eq!(store.call(call.id).await.unwrap().as_ref(), Some(&call));
        call.revision += 1;
        store.save(vec![call.clone().into()]).await.unwrap();
        assert_eq!(store.call(call.id).await.unwrap(), Some(call));
    }
}

async fn keeps_the_contract(store: &LedgerStore) {
    // A call comes back as it was, legs and all.
    let mut first = full();
    let second = call();
    store
        .save(vec![first.clone().into(), second.clone().into()])
        .await
        .unwrap();
    assert_eq!(store.call(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.call(CallId::mint()).await.unwrap(), None);

    // A newer revision replaces it.
    first.revision += 1;
    first.state = CallState::Ended;
    first.closed = true;
    first.ended_at = Some("2026-11-22T10:01:00Z".parse().unwrap());
    first.cause = Some(HangupCause::NORMAL);
    first.legs[0].ended_at = first.ended_at;
    store.save(vec![first.clone().into()]).await.unwrap();
    assert_eq!(store.call(first.id).await.unwrap(), Some(first.clone()));

    // An older one does not, nor its legs.
    let mut stale = first.clone();
    stale.revision = 2;
    stale.state = CallState::Ringing;
    stale.legs.clear();
    store.save(vec![stale.into()]).await.unwrap();
    assert_eq!(store.call(first.id).await.unwrap(), Some(first));

    // Open calls are those that are not closed, of one integration.
    let mut elsewhere = call();
    elsewhere.integration = "asterisk.other".to_owned();
    let mut of_another_gateway = call();
    of_another_gateway.instance = "4567cdef".to_owned();
    store
        .save(vec![elsewhere.into(), of_another_gateway.into()])
        .await
        .unwrap();
    // And of one gateway, by whichever name it goes.
    let mut before_its_name_was_known = call();
    before_its_name_was_known.instance = "p123".to_owned();
    store
        .save(vec![before_its_name_was_known.clone().into()])
        .await
        .unwrap();
    let open = async || store.open_calls("asterisk.main", HOST, "p123").await.unwrap();
    assert_eq!(open().await, [before_its_name_was_known.clone()]);
    assert_eq!(
        store.instance(HOST, "0123abcd".to_owned()).await.unwrap(),
        "0123abcd"
    );
    assert_eq!(open().await, [second, before_its_name_was_known]);

    // A call without anything to say of its parties.
    let mut nobodys = call();
    (nobodys.extension, nobodys.number) = (None, None);
    store.save(vec![nobodys.clone().into()]).await.unwrap();
    assert_eq!(store.call(nobodys.id).await.unwrap(), Some(nobodys));

    // The first proposal of an instance stays.
    assert_eq!(store.instance("host:1", "a".to_owned()).await.unwrap(), "a");
    assert_eq!(store.instance("host:1", "b".to_owned()).await.unwrap(), "a");
    assert_eq!(store.instance("host:2", "b".to_owned()).await.unwrap(), "b");

    // Nothing to write is nothing to fear.
    store.save(Vec::new()).await.unwrap();
}

#[actix_rt::test]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    keeps_the_contract(&LedgerStore::open(&settings).await.unwrap()).await;
    // Opened again, it is all still there.
    let store = LedgerStore::open(&settings).await.unwrap();
    assert_eq!(
        store.open_calls("asterisk.main", HOST, "").await.unwrap().len(),
        2
    );
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn postgres_keeps_the_contract() {
    let settings = settings_of(&crate::database::testing::fresh_database().await);
    keeps_the_contract(&LedgerStore::open(&settings).await.unwrap()).await;
    let store = LedgerStore::open(&settings).await.unwrap();
    assert_eq!(
        store.open_calls("asterisk.main", HOST, "").await.unwrap().len(),
        2
    );
}

#[actix_rt::test]
async fn a_file_that_cannot_be_made_is_an_error() {
    let error = LedgerStore::open(&settings(Path::new("/nonexistent")))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[test]
fn the_ledger_lies_beside_the_cdrs() {
    assert_eq!(
        beside(Path::new("/var/lib/mege/mege.sqlite")),
        Path::new("/var/lib/mege/mege-ledger.sqlite")
    );
    assert_eq!(beside(Path::new("mege")), Path::new("mege-ledger"));
}
