//! Calls are found by what is asked for, in pages, on both stores.

use super::*;
use crate::call::Journal;
use crate::ledger::search::search;
use crate::ledger::{SearchCalls, StateFilter};
use crate::telephony::{Extension, PhoneNumber};

/// A call that was asked for at this second.
fn at(second: i64) -> Call {
    let created_at = jiff::Timestamp::from_second(1_800_000_000 + second).unwrap();
    let CallId(least) = CallId::least_at(created_at);
    Call {
        // Not the least of its moment.
        id: CallId(uuid::Uuid::from_u128(least.as_u128() + 17)),
        created_at,
        ..call()
    }
}

/// As the actor is asked, of whom nothing waits to be written.
async fn found(store: &LedgerStore, request: SearchCalls) -> Vec<CallId> {
    let calls = search(store, &Journal::default(), request).await.unwrap();
    calls.iter().map(|call| call.id).collect()
}

fn up_to(limit: usize) -> SearchCalls {
    SearchCalls {
        limit,
        ..SearchCalls::default()
    }
}

async fn finds_calls(store: &LedgerStore) {
    let mut calls: Vec<Call> = (0..6).map(at).collect();
    calls[1].extension = Some("103".to_owned());
    calls[1].number = Some("+79102223311".to_owned());
    calls[2].number = Some("79102223300".to_owned());
    calls[3].integration = "asterisk.branch".to_owned();
    calls[3].external_id = Some("lead-17".to_owned());
    (calls[4].state, calls[4].closed) = (CallState::Ended, true);
    calls[5].state = CallState::Bridged;
    let saved = calls.iter().cloned().map(Arc::new).collect();
    store.save(saved).await.unwrap();
    let ids = |places: &[usize]| -> Vec<CallId> { places.iter().map(|place| calls[*place].id).collect() };
    let number = |text| Some(PhoneNumber::parse(text).unwrap());
    let integrations = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    for (request, expected) in [
        (up_to(10), &[5, 4, 3, 2, 1, 0][..]),
        (up_to(2), &[5, 4]),
        (
            SearchCalls {
                before: Some(calls[4].id),
                ..up_to(2)
            },
            &[3, 2],
        ),
        (
            SearchCalls {
                before: Some(calls[0].id),
                ..up_to(2)
            },
            &[],
        ),
        (
            SearchCalls {
                from: Some(calls[2].created_at),
                ..up_to(10)
            },
            &[5, 4, 3, 2],
        ),
        (
            SearchCalls {
                until: Some(calls[2].created_at),
                ..up_to(10)
            },
            &[1, 0],
        ),
        (
            SearchCalls {
                until: Some(calls[2].created_at),
                before: Some(calls[5].id),
                ..up_to(10)
            },
            &[1, 0],
        ),
        (
            SearchCalls {
                extension: Some(Extension::parse("103", None).unwrap()),
                ..up_to(10)
            },
            &[1],
        ),
        (
            SearchCalls {
                number: number("79102223311"),
                ..up_to(10)
            },
            &[5, 4, 3, 1, 0],
        ),
        (
            SearchCalls {
                number: number("+79102223311"),
                ..up_to(10)
            },
            &[5, 4, 3, 1, 0],
        ),
        (
            SearchCalls {
                number: number("+79102223300"),
                ..up_to(10)
            },
            &[2],
        ),
        (
            SearchCalls {
                external_id: Some("lead-17".to_owned()),
                ..up_to(10)
            },
            &[3],
        ),
        (
            SearchCalls {
                integrations: integrations(&["asterisk.branch"]),
                ..up_to(10)
            },
            &[3],
        ),
        (
            SearchCalls {
                integrations: integrations(&["asterisk.branch", "asterisk.main"]),
                ..up_to(4)
            },
            &[5, 4, 3, 2],
        ),
        (
            SearchCalls {
                integrations: integrations(&[]),
                ..up_to(10)
            },
            &[],
        ),
        (
            SearchCalls {
                state: Some(StateFilter::Live),
                ..up_to(10)
            },
            &[5, 3, 2, 1, 0],
        ),
        (
            SearchCalls {
                state: Some(StateFilter::In(CallState::Bridged)),
                ..up_to(10)
            },
            &[5],
        ),
        (
            SearchCalls {
                state: Some(StateFilter::In(CallState::Sent)),
                number: number("79102223311"),
                integrations: integrations(&["asterisk.main"]),
                from: Some(calls[1].created_at),
                ..up_to(10)
            },
            &[1],
        ),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(found(store, request).await, ids(expected), "{shown}");
    }

    // Half of them is being written, and has changed since. Each is found as it is now, once, whatever the pages.
    let journal = Journal::default();
    let newer = |place: usize, state: CallState| Call {
        state,
        closed: state == CallState::Ended,
        revision: 2,
        ..calls[place].clone()
    };
    journal.record(newer(5, CallState::Ended).into());
    journal.record(newer(2, CallState::Answered).into());
    assert_eq!(journal.take(10).len(), 2);
    journal.record(newer(1, CallState::Ended).into());
    let unwritten = at(7);
    journal.record(unwritten.clone().into());
    for limit in 1..6 {
        for (state, expected) in [
            (
                StateFilter::Live,
                vec![unwritten.id, calls[3].id, calls[2].id, calls[0].id],
            ),
            (StateFilter::In(CallState::Ended), ids(&[5, 4, 1])),
            (StateFilter::In(CallState::Answered), ids(&[2])),
        ] {
            let (mut before, mut found) = (None, Vec::new());
            loop {
                let request = SearchCalls {
                    state: Some(state),
                    before,
                    ..up_to(limit)
                };
                let page = search(store, &journal, request).await.unwrap();
                found.extend(page.iter().map(|call| call.id));
                if page.len() < limit {
                    break;
                }
                before = page.last().map(|call| call.id);
            }
            assert_eq!(found, expected, "{state:?} by {limit}");
        }
    }
}

#[actix_rt::test]
async fn sqlite_finds_calls() {
    let folder = tempfile::tempdir().unwrap();
    finds_calls(&LedgerStore::open(&settings(folder.path())).await.unwrap()).await;
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn postgres_finds_calls() {
    let settings = settings_of(&crate::database::testing::fresh_database().await);
    finds_calls(&LedgerStore::open(&settings).await.unwrap()).await;
}
