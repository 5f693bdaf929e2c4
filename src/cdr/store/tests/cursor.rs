//! What clients were handed out, for each store.

use super::*;
use crate::cdr::cursor::FORGET_EVERY;

contract! {
    an_id_that_was_handed_out_stands_for_what_was_stored_by_then
    handed_out_again_an_id_stands_for_the_least
    a_seq_that_the_feed_has_not_reached_says_nothing
    of_late_legs_the_first_stored_are_answered
    legs_that_were_stored_since_come_by_leg
    greater_ids_are_answered_from_further_back
    a_late_recording_brings_its_leg_again
    old_and_surplus_ids_are_forgotten
    the_ids_of_all_clients_together_are_not_without_end
}

fn client(n: u8) -> ClientId {
    ClientId::named(format!("client {n}"))
}

/// Since when the replies of these tests answer greater ids.
const FROM: i64 = 2;

fn handed_out(greatest: i64, last: i64, until: i64) -> HandedOut {
    HandedOut {
        greatest: Some(call_id(greatest)),
        last: Some(call_id(last)),
        asked: None,
        from: FROM,
        until,
    }
}

/// What a client's call id is remembered to stand for.
async fn since(store: &CdrStore, n: u8, call_id: &str) -> Option<i64> {
    let resumed = store.resume("a", &client(n), call_id, 100).await.unwrap();
    resumed.since.map(|since| since.seq)
}

async fn an_id_that_was_handed_out_stands_for_what_was_stored_by_then(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    let (greatest, last) = (call_id(9).to_string(), call_id(4).to_string());
    let resumed = store.resume("a", &client(1), &greatest, 100).await.unwrap();
    assert_eq!((resumed.since, resumed.until), (None, 10));
    store
        .hand_out("a", &client(1), handed_out(9, 4, 8))
        .await
        .unwrap();
    // Also after a restart, and from another gateway.
    for store in [store, database.open().await] {
        assert_eq!(since(&store, 1, &greatest).await, Some(8));
        assert_eq!(since(&store, 1, &last).await, Some(8));
        for (id, greater) in [(&greatest, 8), (&last, FROM)] {
            let resumed = store.resume("a", &client(1), id, 100).await.unwrap();
            assert_eq!(resumed.since, Some(Since { seq: 8, greater }));
        }
        assert_eq!(since(&store, 2, &greatest).await, None);
        for unknown in [
            greatest.to_uppercase(),
            format!("{greatest} "),
            String::new(),
            "ё\0".to_owned(),
        ] {
            assert_eq!(since(&store, 1, &unknown).await, None, "{unknown}");
        }
        let elsewhere = store.resume("b", &client(1), &greatest, 100).await.unwrap();
        assert_eq!(elsewhere.since, None);
    }
}

async fn handed_out_again_an_id_stands_for_the_least(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    for (until, least) in [(7, 7), (9, 7), (5, 5), (6, 5)] {
        store
            .hand_out("a", &client(1), handed_out(9, 9, until))
            .await
            .unwrap();
        assert_eq!(since(&store, 1, &call_id(9).to_string()).await, Some(least));
    }
}

async fn a_seq_that_the_feed_has_not_reached_says_nothing(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    store
        .hand_out("a", &client(1), handed_out(9, 9, 10))
        .await
        .unwrap();
    // As in a store whose legs come from an older backup.
    database.execute("UPDATE feed_head SET seq = 9").await;
    assert_eq!(since(&store, 1, &call_id(9).to_string()).await, None);
}

async fn of_late_legs_the_first_stored_are_answered(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(50..60)).await.unwrap();
    store
        .hand_out("a", &client(1), handed_out(59, 59, 10))
        .await
        .unwrap();
    store.apply("a", legs(0..5)).await.unwrap();
    store.apply("a", legs(60..62)).await.unwrap();
    store.apply("b", legs(0..3)).await.unwrap();
    store.apply("a", legs(5..9)).await.unwrap();
    let call_id = call_id(59).to_string();
    let ten = Since { seq: 10, greater: 10 };
    for (late, until, expected) in [
        (100, 24, [0, 1, 2, 3, 4, 5, 6, 7, 8, 60, 61].as_slice()),
        (10, 24, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 60, 61]),
        (6, 21, &[0, 1, 2, 3, 4, 5, 60, 61]),
        (2, 12, &[0, 1, 60, 61]),
    ] {
        let resumed = store.resume("a", &client(1), &call_id, late).await.unwrap();
        assert_eq!((resumed.since, resumed.until), (Some(ten), until), "{late}");
        let legs = store
            .legs_since("a", ten, until, &call_id, None, 100)
            .await
            .unwrap();
        let expected: Vec<Uuid> = expected.iter().map(|n| leg_id(*n)).collect();
        assert_eq!(legs, expected, "{late}");
    }
}

async fn legs_that_were_stored_since_come_by_leg(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..20)).await.unwrap();
    for n in [7, 3, 12, 9] {
        let batch = Batch {
            cdrs: vec![leg(n, "changed")],
            ..Batch::default()
        };
        store.apply("a", batch).await.unwrap();
    }
    let twenty = Since { seq: 20, greater: 20 };
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = store.legs_since("a", twenty, 24, "0", after, 3).await.unwrap();
        ids.extend_from_slice(&page);
        after = page.last().copied();
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(ids, [3, 7, 9, 12].map(leg_id));
    let all = store.after_call_id("a", "0", None, 100).await.unwrap();
    let asked = [leg_id(12), leg_id(77), leg_id(3)];
    assert_eq!(
        store.legs("a", &asked).await.unwrap(),
        [all[3].clone(), all[12].clone()]
    );
    assert_eq!(store.legs("b", &asked).await.unwrap(), []);
}

async fn greater_ids_are_answered_from_further_back(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    store.apply("a", legs(20..22)).await.unwrap();
    let since = Since { seq: 8, greater: 3 };
    let call_id = call_id(6).to_string();
    let ids = store
        .legs_since("a", since, 11, &call_id, None, 100)
        .await
        .unwrap();
    // Of the greater ones all after the third, of the others those after the eighth: there are none.
    assert_eq!(ids, [7, 8, 9, 20, 21].map(leg_id));
    // All of the greater ones, and of the others what was stored between the two; page by page.
    let all = Since { seq: 4, greater: 0 };
    let mut after = None;
    for expected in [[4, 5, 6].as_slice(), &[7, 8, 9], &[20, 21]] {
        let expected: Vec<Uuid> = expected.iter().map(|n| leg_id(*n)).collect();
        let page = store.legs_since("a", all, 11, &call_id, after, 3).await.unwrap();
        assert_eq!(page, expected);
        after = page.last().copied();
    }
    let call_id = self::call_id(8).to_string();
    let ids = store
        .legs_since("a", since, 11, &call_id, None, 100)
        .await
        .unwrap();
    assert_eq!(ids, [8, 9, 20, 21].map(leg_id));
}

async fn a_late_recording_brings_its_leg_again(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..5)).await.unwrap();
    let batch = Batch {
        recordings: vec![recording(1, 2, "late.wav")],
        ..Batch::default()
    };
    store.apply("a", batch).await.unwrap();
    let five = Since { seq: 5, greater: 5 };
    let ids = store.legs_since("a", five, 7, "z", None, 10).await.unwrap();
    let legs = store.legs("a", &ids).await.unwrap();
    assert_eq!(legs.len(), 1);
    assert_eq!(legs[0].recording_url.as_deref(), Some("late.wav"));
}

async fn old_and_surplus_ids_are_forgotten(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    let day = match &database.settings.url {
        StoreUrl::Sqlite(_) => "86400000000",
        StoreUrl::Postgres(_) => "interval '1 day'",
    };
    let age = async |days: i64, what: &str| {
        let sql =
            format!("UPDATE client_cursor SET handed_out_at = handed_out_at - {days} * {day} WHERE {what}");
        database.execute(&sql).await;
    };
    for n in [1, 2, 3] {
        store
            .hand_out("a", &client(n), handed_out(1, 2, 3))
            .await
            .unwrap();
    }
    age(91, "client = 'client 1'").await;
    age(89, "client = 'client 2'").await;
    // More than may be kept, handed out a moment before.
    let numbered = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10300) \
                    INSERT INTO client_cursor SELECT pbx, client, 'old ' || i, seq, seq, handed_out_at FROM n, client_cursor \
                    WHERE client = 'client 3' AND call_id LIKE '%1'";
    database.execute(numbered).await;
    age(1, "call_id LIKE 'old %'").await;
    for n in 0..i64::from(FORGET_EVERY) {
        store
            .hand_out("a", &client(3), handed_out(100 + n, 100 + n, 3))
            .await
            .unwrap();
    }
    let first = call_id(1).to_string();
    let remembered = [1, 2, 3].map(async |n| since(&store, n, &first).await.is_some());
    let remembered = futures_util::future::join_all(remembered).await;
    assert_eq!(remembered, [false, true, true]);
    let mut old = 0;
    for i in 1..=10_300 {
        old += usize::from(since(&store, 3, &format!("old {i}")).await.is_some());
    }
    // 10,000 are left with the two from before and those from the loop: 64 of them, but for those after the last
    // clearing.
    assert!((9_930..9_940).contains(&old), "{old}");
}

async fn the_ids_of_all_clients_together_are_not_without_end(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    for n in 0..6 {
        store
            .hand_out("a", &client(n), handed_out(1, 1, 3))
            .await
            .unwrap();
    }
    let beyond = async |count: usize| {
        let beyond = params![limit(500), limit(count)];
        store.database.execute(sql::FORGET_BEYOND, beyond).await.unwrap()
    };
    assert_eq!((beyond(6).await, beyond(4).await), (0, 2));
    let id = call_id(1).to_string();
    let remembered = [0, 1, 2, 3, 4, 5].map(async |n| since(&store, n, &id).await.is_some());
    let remembered = futures_util::future::join_all(remembered).await;
    assert_eq!(remembered, [false, false, true, true, true, true]);
}

#[tokio::test]
async fn what_is_known_is_not_written_again() {
    let database = Database::sqlite();
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    store
        .hand_out("a", &client(1), handed_out(9, 4, 8))
        .await
        .unwrap();
    database
        .execute("CREATE TRIGGER no BEFORE INSERT ON client_cursor BEGIN SELECT raise(ABORT, 'written'); END")
        .await;
    for known in [handed_out(9, 4, 8), handed_out(4, 4, 10), handed_out(9, 9, 9)] {
        store.hand_out("a", &client(1), known).await.unwrap();
    }
    for unknown in [handed_out(9, 4, 7), handed_out(9, 5, 8)] {
        assert!(store.hand_out("a", &client(1), unknown).await.is_err());
    }
    // Once a day it is, so that what is in use does not grow old.
    database
        .execute("UPDATE client_cursor SET handed_out_at = handed_out_at - 90000000000")
        .await;
    assert!(
        store
            .hand_out("a", &client(1), handed_out(9, 4, 8))
            .await
            .is_err()
    );
}
