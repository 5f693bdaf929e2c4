//! The contract's reading half, for each store.

use super::*;

contract! {
    digests_are_listed_by_range
    the_last_call_id_is_the_greatest
    a_call_id_is_compared_as_text
    a_leg_is_shown_as_the_original_shows_it
    pages_join_without_a_gap
    the_file_of_a_recording_is_found_by_its_number
}

async fn digests_are_listed_by_range(database: Database) {
    let store = database.open().await;
    let mut batch = legs(0..10);
    batch.recordings = [3, 10, -2, 9].map(|number| recording(number, 0, "x")).into();
    store.apply("a", batch).await.unwrap();
    let range = CdrRange::Cdrs {
        from: leg_id(3),
        until: leg_id(6),
    };
    let expected: Vec<_> = (3..6)
        .map(|n| (leg_id(n).to_string(), leg(n, "").source_digest))
        .collect();
    assert_eq!(store.digests("a", range.clone()).await.unwrap(), expected);
    assert_eq!(store.digests("b", range).await.unwrap(), []);
    let range = CdrRange::Recordings { from: -2, until: 10 };
    let numbers = store.digests("a", range).await.unwrap();
    let expected = [-2, 3, 9].map(|n| (n.to_string(), recording(n, 0, "x").source_digest));
    assert_eq!(numbers, expected);
    let range = CdrRange::CdrIds(vec![leg_id(9), leg_id(77), leg_id(0), leg_id(9)]);
    let ids: Vec<String> = store
        .digests("a", range)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(ids, [leg_id(0).to_string(), leg_id(9).to_string()]);
}

async fn the_last_call_id_is_the_greatest(database: Database) {
    let store = database.open().await;
    assert_eq!(store.last_call_id("a").await.unwrap(), (None, 0));
    store.apply("a", legs(5..9)).await.unwrap();
    store.apply("a", legs(0..2)).await.unwrap();
    assert_eq!(store.last_call_id("a").await.unwrap(), (Some(call_id(8)), 6));
    assert_eq!(store.last_call_id("b").await.unwrap(), (None, 6));
}

/// The `cdr_id`s after a call id.
async fn after(store: &CdrStore, call_id: &str) -> Vec<Uuid> {
    let rows = store.after_call_id("a", call_id, None, 100).await.unwrap();
    rows.into_iter().map(|row| row.cdr_id).collect()
}

async fn a_call_id_is_compared_as_text(database: Database) {
    let store = database.open().await;
    // Later calls have smaller leg ids here, so that the order is the legs' and not the calls'.
    let cdrs = (0..6).map(|n| {
        let mut texts = leg(n, "").row.to_texts();
        texts[1] = Some(call_id(0xabcdef - n).to_string());
        sourced_cdr(texts)
    });
    let batch = Batch {
        cdrs: cdrs.collect(),
        ..Batch::default()
    };
    store.apply("a", batch).await.unwrap();
    let all: Vec<Uuid> = (0..6).map(leg_id).collect();
    let middle = call_id(0xabcdef - 3).to_string();
    assert_eq!(after(&store, "").await, all);
    assert_eq!(after(&store, &middle).await, all[..3]);
    assert_eq!(after(&store, &middle[..35]).await, all);
    assert_eq!(after(&store, &format!("{middle}\0x")).await, all[..3]);
    assert_eq!(after(&store, &format!("{middle} ")).await, all[..3]);
    assert!(after(&store, "zzz").await.is_empty());
    // Upper case sorts before lower case: the ids differ from `middle` first in a letter.
    assert_eq!(after(&store, &middle.to_uppercase()).await, all);
    assert!(after(&store, "ё'; --").await.is_empty());
}

async fn a_leg_is_shown_as_the_original_shows_it(database: Database) {
    let store = database.open().await;
    let numbers = [Some("100"), Some("  "), Some(""), None, Some(" 7 ")];
    let cdrs = numbers.iter().zip(0..).map(|(number, n)| {
        let mut texts = leg(n, "").row.to_texts();
        texts[16] = number.map(str::to_owned);
        texts[35] = (n != 1).then(|| "1770712917554322".to_owned());
        sourced_cdr(texts)
    });
    let cdrs: Vec<_> = cdrs.collect();
    let batch = Batch {
        cdrs: cdrs.clone(),
        recordings: vec![
            recording(11, 0, "second"),
            recording(10, 0, "first"),
            recording(12, 3, "third"),
        ],
        position: None,
    };
    store.apply("a", batch).await.unwrap();
    store
        .apply(
            "b",
            Batch {
                recordings: vec![recording(1, 1, "foreign")],
                ..Batch::default()
            },
        )
        .await
        .unwrap();
    let urls = [Some((10, "first")), None, None, Some((12, "third")), None];
    let own = |n: usize| cdrs[n].row.destination_participant_phone_number.clone();
    let shown = [
        Some("100".to_owned()),
        own(1),
        own(2),
        own(3),
        Some(" 7 ".to_owned()),
    ];
    let expected: Vec<LegacyRow> = cdrs
        .iter()
        .zip(urls)
        .zip(shown)
        .map(|((cdr, recording), destination_number)| LegacyRow {
            call_history_id: cdr.row.call_history_id,
            cdr_id: cdr.row.cdr_id,
            started_at: cdr.row.cdr_started_at,
            answered_at: cdr.row.cdr_answered_at,
            ended_at: cdr.row.cdr_ended_at,
            source_number: cdr.row.source_participant_phone_number.clone(),
            destination_number,
            id_recording: recording.map(|(number, _)| number),
            recording_url: recording.map(|(_, url)| url.to_owned()),
        })
        .collect();
    assert_eq!(store.after_call_id("a", "", None, 100).await.unwrap(), expected);
}

async fn pages_join_without_a_gap(database: Database) {
    let store = database.open().await;
    store.apply("a", legs(0..1_000)).await.unwrap();
    let wanted = call_id(299).to_string();
    let (mut ids, mut last) = (Vec::new(), None);
    loop {
        let page = store.after_call_id("a", &wanted, last, 70).await.unwrap();
        ids.extend(page.iter().map(|row| row.cdr_id));
        last = ids.last().copied();
        if page.len() < 70 {
            break;
        }
    }
    assert_eq!(ids, (300..1_000).map(leg_id).collect::<Vec<_>>());
}

async fn the_file_of_a_recording_is_found_by_its_number(database: Database) {
    let store = database.open().await;
    let changed = |number, archived: Option<&str>, url: Option<&str>| {
        let mut texts = recording(number, 0, "").row.to_texts();
        texts[2] = url.map(str::to_owned);
        texts[5] = archived.map(str::to_owned);
        sourced_recording(texts)
    };
    let name = "110/[Имя, Ф]_110-+7 #1%2e?(5).wav";
    let batch = Batch {
        recordings: vec![
            changed(5, Some("false"), Some(name)),
            changed(6, Some("true"), Some("gone.wav")),
            changed(7, None, None),
        ],
        ..Batch::default()
    };
    store.apply("a", batch).await.unwrap();
    let file = |recording_url: Option<&str>, archived| {
        let recording_url = recording_url.map(str::to_owned);
        Some(RecordingFile {
            recording_url,
            archived,
        })
    };
    for (pbx, number, expected) in [
        ("a", 5, file(Some(name), false)),
        ("a", 6, file(Some("gone.wav"), true)),
        ("a", 7, file(None, false)),
        ("a", 8, None),
        ("b", 6, None),
    ] {
        assert_eq!(
            store.recording_file(pbx, number).await.unwrap(),
            expected,
            "{pbx} {number}"
        );
    }
}
