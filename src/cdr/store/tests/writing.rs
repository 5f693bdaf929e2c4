//! The contract's writing half, for each store.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

contract! {
    every_column_survives
    a_batch_twice_is_skipped
    a_changed_row_gets_a_revision_and_a_seq
    of_two_rows_with_one_key_the_last_counts
    a_recording_touches_its_leg
    a_recording_that_moves_touches_both_legs
    seqs_have_no_gap_under_concurrent_batches
    concurrent_batches_of_the_same_rows_store_them_once
    a_failing_batch_leaves_nothing
    a_dropped_batch_is_stored_as_a_whole_or_not_at_all
    two_pbxs_do_not_mix
    a_position_is_kept_by_name_until_it_is_removed
    reopening_keeps_everything
    errors_hold_no_values
    batches_of_200_take_no_longer_when_much_is_stored
}

async fn a_position_is_kept_by_name_until_it_is_removed(database: Database) {
    let store = database.open().await;
    let position = Position {
        recordings: Some(7),
        ..Position::default()
    };
    for name in ["a", "backfill a"] {
        let batch = Batch {
            position: Some(position.clone()),
            ..Batch::default()
        };
        store.apply(name, batch).await.unwrap();
    }
    store.remove_position("backfill a").await.unwrap();
    store.remove_position("nobody's").await.unwrap();
    assert_eq!(store.position("backfill a").await.unwrap(), Position::default());
    assert_eq!(store.position("a").await.unwrap(), position);
}

async fn every_column_survives(database: Database) {
    let store = database.open().await;
    let mut special = texts(Cdr::COLUMNS, 3, true);
    for (column, text) in Cdr::COLUMNS.iter().zip(&mut special) {
        match column.kind {
            Kind::Text => *text = Some(String::new()),
            Kind::Integer => *text = Some(i64::MIN.to_string()),
            Kind::Moment => *text = Some("-62135596799999999".to_owned()),
            Kind::Id | Kind::Flag => {}
        }
    }
    let mut cyrillic = texts(Cdr::COLUMNS, 4, true);
    for (column, text) in Cdr::COLUMNS.iter().zip(&mut cyrillic) {
        match column.kind {
            Kind::Text => *text = Some(" Имя, 'Фамилия'; \"[x]\" \\ \t🙂{NULL}".to_owned()),
            Kind::Integer => *text = Some(i64::MAX.to_string()),
            Kind::Moment => *text = Some("253402207199999999".to_owned()),
            Kind::Id | Kind::Flag => {}
        }
    }
    let cdrs: Vec<_> = [
        texts(Cdr::COLUMNS, 1, true),
        texts(Cdr::COLUMNS, 2, false),
        special,
        cyrillic,
    ]
    .map(sourced_cdr)
    .into();
    let mut empty = texts(Recording::COLUMNS, 2, false);
    empty[1] = Some(leg_id(1).to_string());
    let mut negative = texts(Recording::COLUMNS, 3, true);
    negative[0] = Some("-5".to_owned());
    negative[2] = Some("110/[Имя]_110-7_2026(12).wav".to_owned());
    negative[6] = Some(String::new());
    let mut recordings: Vec<_> = [texts(Recording::COLUMNS, 1, true), empty, negative]
        .map(sourced_recording)
        .into();
    let batch = Batch {
        cdrs: cdrs.clone(),
        recordings: recordings.clone(),
        position: None,
    };
    assert_eq!(store.apply("a", batch).await.unwrap(), changes(7, 0, 0));
    recordings.sort_by_key(|recording| recording.row.id_recording);
    assert_eq!(store.rows("a", None, 10).await.unwrap(), cdrs);
    assert_eq!(store.recordings("a", None, 10).await.unwrap(), recordings);
    // By key and limit.
    let after = Some(cdrs[1].row.cdr_id);
    assert_eq!(store.rows("a", after, 1).await.unwrap(), cdrs[2..3]);
    assert_eq!(
        store.recordings("a", Some(-5), 1).await.unwrap(),
        recordings[1..2]
    );
}

async fn a_batch_twice_is_skipped(database: Database) {
    let store = database.open().await;
    let mut batch = legs(0..50);
    batch.recordings = (0..20).map(|n| recording(n, n, "a.wav")).collect();
    assert_eq!(store.apply("a", batch.clone()).await.unwrap(), changes(70, 0, 0));
    let before = database.versions().await;
    assert_eq!(store.apply("a", batch).await.unwrap(), changes(0, 0, 70));
    assert_eq!(database.versions().await, before);
    assert_eq!(store.head().await.unwrap(), 70);
    assert_eq!(
        store.apply("a", Batch::default()).await.unwrap(),
        changes(0, 0, 0)
    );
}

async fn a_changed_row_gets_a_revision_and_a_seq(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..3)).await.unwrap();
    let batch = Batch {
        cdrs: vec![leg(0, ""), leg(1, "changed"), leg(3, "")],
        ..Batch::default()
    };
    assert_eq!(store.apply("a", batch).await.unwrap(), changes(1, 1, 1));
    let version = database.versions().await;
    let of = |n| version[&leg_id(n).to_string()];
    assert_eq!([of(0), of(1), of(2), of(3)], [(1, 1), (4, 2), (3, 1), (5, 1)]);
    let rows = store.rows("a", None, 10).await.unwrap();
    assert_eq!(rows[1], leg(1, "changed"));
}

async fn of_two_rows_with_one_key_the_last_counts(database: Database) {
    let store = database.open().await;
    let batch = Batch {
        cdrs: vec![leg(1, "first"), leg(2, ""), leg(1, "last")],
        recordings: vec![recording(1, 1, "first"), recording(1, 1, "last")],
        position: None,
    };
    assert_eq!(store.apply("a", batch).await.unwrap(), changes(3, 0, 2));
    assert_eq!(
        store.rows("a", None, 10).await.unwrap(),
        [leg(1, "last"), leg(2, "")]
    );
    assert_eq!(
        store.recordings("a", None, 10).await.unwrap(),
        [recording(1, 1, "last")]
    );
    assert_eq!(store.head().await.unwrap(), 3);
}

async fn a_recording_touches_its_leg(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..2)).await.unwrap();
    // Two for a stored leg, one for a leg of the same batch, one for a leg that is not there.
    let batch = Batch {
        cdrs: vec![leg(0, ""), leg(2, "")],
        recordings: vec![
            recording(1, 0, "1"),
            recording(2, 0, "2"),
            recording(3, 2, "3"),
            recording(4, 9, "4"),
        ],
        position: None,
    };
    assert_eq!(store.apply("a", batch).await.unwrap(), changes(5, 0, 1));
    let version = database.versions().await;
    let of = |n| version[&leg_id(n).to_string()];
    assert_eq!([of(0), of(1), of(2)], [(8, 2), (2, 1), (3, 1)]);
    assert_eq!(store.head().await.unwrap(), 8);
    // Its own row is as it was.
    assert_eq!(store.rows("a", None, 1).await.unwrap(), [leg(0, "")]);
}

async fn a_recording_that_moves_touches_both_legs(database: Database) {
    let store = database.open().await;
    let mut batch = legs(0..3);
    batch.recordings = vec![recording(1, 0, "x")];
    store.apply("a", batch).await.unwrap();
    let batch = Batch {
        recordings: vec![recording(1, 1, "x")],
        ..Batch::default()
    };
    assert_eq!(store.apply("a", batch).await.unwrap(), changes(0, 1, 0));
    let version = database.versions().await;
    let of = |n| version[&leg_id(n).to_string()];
    assert_eq!([of(0), of(1), of(2)], [(6, 2), (7, 2), (3, 1)]);
    assert_eq!(version["r1"], (5, 2));
}

async fn seqs_have_no_gap_under_concurrent_batches(database: Database) {
    let store = database.open().await;
    let done = tokio_util::sync::CancellationToken::new();
    // A reader of the feed must never see a seq while a smaller one is still to come.
    let watcher = async {
        while !done.is_cancelled() {
            let head = store.head().await.unwrap();
            let seqs = database.versions().await.into_values().map(|(seq, _)| seq);
            let seen = seqs.filter(|seq| *seq <= head).count();
            assert_eq!(i64::try_from(seen).unwrap(), head);
        }
    };
    let applied = (0..8).map(|task: i64| {
        let store = store.clone();
        tokio::spawn(async move {
            for batch in 0..5 {
                let first = task * 1_000 + batch * 20;
                let pbx = if task % 2 == 0 { "a" } else { "b" };
                store.apply(pbx, legs(first..first + 20)).await.unwrap();
            }
        })
    });
    let applied = async {
        for task in applied.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        done.cancel();
    };
    tokio::join!(watcher, applied);
    let mut seqs: Vec<i64> = database
        .versions()
        .await
        .into_values()
        .map(|(seq, _)| seq)
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=800).collect::<Vec<i64>>());
}

async fn concurrent_batches_of_the_same_rows_store_them_once(database: Database) {
    let store = database.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.apply("a", legs(0..50)).await.unwrap() })
        })
        .collect();
    let mut total = Changes::default();
    for task in tasks {
        let changes = task.await.unwrap();
        total.inserted += changes.inserted;
        total.updated += changes.updated;
        total.skipped += changes.skipped;
    }
    assert_eq!(total, changes(50, 0, 350));
    assert_eq!(store.head().await.unwrap(), 50);
}

async fn a_failing_batch_leaves_nothing(database: Database) {
    let store = database.open().await;
    let with_position = |n: i64| Batch {
        position: Some(some_position(n)),
        ..legs(n..n + 10)
    };
    assert_eq!(store.position("a").await.unwrap(), Position::default());
    store.apply("a", with_position(0)).await.unwrap();
    database
        .execute("ALTER TABLE collector_position RENAME TO elsewhere")
        .await;
    let error = store.apply("a", with_position(10)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    database
        .execute("ALTER TABLE elsewhere RENAME TO collector_position")
        .await;
    assert_eq!(store.rows("a", None, 99).await.unwrap().len(), 10);
    assert_eq!(store.head().await.unwrap(), 10);
    assert_eq!(store.position("a").await.unwrap(), some_position(0));
    store.apply("a", with_position(10)).await.unwrap();
    assert_eq!(store.head().await.unwrap(), 20);
    assert_eq!(store.position("a").await.unwrap(), some_position(10));
    assert_eq!(store.position("b").await.unwrap(), Position::default());
}

async fn a_dropped_batch_is_stored_as_a_whole_or_not_at_all(database: Database) {
    let store = database.open().await;
    let mut cut = 0;
    for n in 0..40_u32 {
        let pbx = n.to_string();
        let mut batch = legs(0..100);
        batch.position = Some(some_position(i64::from(n)));
        let time = Duration::from_micros(u64::from(n) * 500);
        cut += i32::from(
            tokio::time::timeout(time, store.apply(&pbx, batch))
                .await
                .is_err(),
        );
    }
    assert!(cut > 0, "none was cut off");
    // Behind the same lock: what was cut off has ended by then.
    store.apply("last", legs(0..1)).await.unwrap();
    let mut whole = 0;
    for n in 0..40_i64 {
        let pbx = n.to_string();
        // The lock of this 3CX, too.
        store.apply(&pbx, Batch::default()).await.unwrap();
        let rows = store.rows(&pbx, None, 1_000).await.unwrap().len();
        let position = store.position(&pbx).await.unwrap();
        match rows {
            0 => assert_eq!(position, Position::default()),
            rows => {
                assert_eq!((rows, position), (100, some_position(n)));
                whole += 1;
            }
        }
    }
    assert_eq!(store.head().await.unwrap(), whole * 100 + 1);
}

async fn two_pbxs_do_not_mix(database: Database) {
    let store = database.open().await;
    let batch = |edition: &str, url: &str, n: i64| Batch {
        cdrs: vec![leg(1, edition)],
        recordings: vec![recording(1, 1, url)],
        position: Some(some_position(n)),
    };
    store.apply("a", batch("of a", "a.wav", 1)).await.unwrap();
    assert_eq!(
        store.apply("b", batch("of b", "b.wav", 2)).await.unwrap(),
        changes(2, 0, 0)
    );
    for (pbx, edition, url, n) in [("a", "of a", "a.wav", 1), ("b", "of b", "b.wav", 2)] {
        assert_eq!(store.rows(pbx, None, 9).await.unwrap(), [leg(1, edition)]);
        assert_eq!(
            store.recordings(pbx, None, 9).await.unwrap(),
            [recording(1, 1, url)]
        );
        assert_eq!(store.position(pbx).await.unwrap(), some_position(n));
        let rows = store.after_call_id(pbx, "", None, 9).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].recording_url.as_deref(), Some(url));
    }
}

async fn reopening_keeps_everything(database: Database) {
    let mut batch = legs(0..5);
    batch.position = Some(some_position(1));
    database.open().await.apply("a", batch).await.unwrap();
    let (first, second) = tokio::join!(database.open(), database.open());
    assert_eq!(first.rows("a", None, 9).await.unwrap().len(), 5);
    assert_eq!(second.position("a").await.unwrap(), some_position(1));
    assert_eq!(second.apply("a", legs(4..6)).await.unwrap(), changes(1, 0, 1));
    assert_eq!(first.head().await.unwrap(), 6);
}

async fn errors_hold_no_values(database: Database) {
    let store = database.open().await;
    let refused = match database.settings.url {
        StoreUrl::Sqlite(_) => {
            "CREATE TRIGGER refused BEFORE INSERT ON cdr BEGIN \
             SELECT RAISE(ABORT, 'caller 79990480215'); END"
        }
        StoreUrl::Postgres(_) => {
            "ALTER TABLE cdr ADD CONSTRAINT refused CHECK (termination_reason_details <> '79990480215')"
        }
    };
    database.execute(refused).await;
    let batch = Batch {
        cdrs: vec![leg(1, "79990480215")],
        ..Batch::default()
    };
    let error = store.apply("a", batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("7999"), "{error}");
}

/// Against a plan gone wrong: what is stored already makes no batch slower. Of each few batches the fastest counts, which the
/// machine did for nobody else meanwhile.
async fn batches_of_200_take_no_longer_when_much_is_stored(database: Database) {
    const FEW: usize = 5;
    let store = database.open().await;
    let batches: Vec<Batch> = (0..20).map(|n| legs(n * 200..(n + 1) * 200)).collect();
    let fastest = |times: &[Duration]| *times.iter().min().unwrap();
    for what in ["new", "unchanged"] {
        let mut times = Vec::new();
        for batch in batches.clone() {
            let started = Instant::now();
            store.apply("a", batch).await.unwrap();
            times.push(started.elapsed());
        }
        let (early, late) = (fastest(&times[..FEW]), fastest(&times[times.len() - FEW..]));
        println!("200 {what} rows: {early:?}, then {late:?}");
        assert!(late < 10 * early, "{what}: {times:?}");
    }
}
