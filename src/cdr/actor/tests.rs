use actix_rt::time::sleep;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::super::messages::CdrPages;
use super::super::store::tests::{Database, leg, legs, settings};
use super::super::store::{Batch, CdrRange, Position};
use super::*;
use crate::actor::{AskError, Class, ClientId, InjectedFault, Limits, Placement, State};

const TIMEOUT: Duration = Duration::from_secs(60);

fn start(settings: StoreSettings) -> CdrHandle {
    let spawn = Spawn::new(
        "cdr".to_owned(),
        Placement::Current,
        vec![
            (Class::Read, Limits::default()),
            (Class::Write, Limits::default()),
        ],
    );
    spawn_cdr(spawn, settings)
}

/// Waits for a condition that comes true by itself.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(TIMEOUT, reached).await.is_ok(), "{what}");
}

async fn usable(handle: &CdrHandle) {
    let usable = || {
        let report = handle.health().report();
        report.usable && report.state == State::Running
    };
    until("the store never opened", usable).await;
}

async fn last_call_id(handle: &CdrHandle) -> Reply<GetLastCallId> {
    let request = GetLastCallId {
        pbx: "a".to_owned(),
        client: Some(client()),
    };
    handle.ask(request, Instant::now() + TIMEOUT).await
}

async fn apply(handle: &CdrHandle, batch: Batch) {
    let request = Apply {
        pbx: "a".to_owned(),
        batch,
    };
    handle.ask(request, Instant::now() + TIMEOUT).await.unwrap();
}

async fn search_after(handle: &CdrHandle, call_id: &str) -> Result<CdrPages, AskError<StoreError>> {
    search_of(handle, &client(), call_id).await
}

async fn search_of(
    handle: &CdrHandle,
    client: &ClientId,
    call_id: &str,
) -> Result<CdrPages, AskError<StoreError>> {
    let request = SearchAfterCallId {
        pbx: "a".to_owned(),
        call_id: call_id.to_owned(),
        client: Some(client.clone()),
    };
    handle.ask_for(client, request, Instant::now() + TIMEOUT).await
}

async fn search(handle: &CdrHandle) -> CdrPages {
    search_after(handle, "0").await.unwrap()
}

fn client() -> ClientId {
    ClientId::named("crm")
}

/// An actor with that many legs.
async fn with_legs(database: &Database, count: i64) -> CdrHandle {
    let handle = start(database.settings.clone());
    usable(&handle).await;
    apply(&handle, legs(0..count)).await;
    handle
}

async fn permits_return(handle: &CdrHandle) {
    until("a permit was lost", || handle.in_flight(Class::Read) == 0).await;
}

/// Asks while the store is down, brings it up, and asks again.
async fn is_tried_again(settings: StoreSettings, bring_up: impl AsyncFnOnce()) {
    let handle = start(settings);
    let tried = || handle.health().report().detail["error"].to_string();
    until("never tried", || {
        let tried = tried();
        tried != "null" && !tried.contains("being opened")
    })
    .await;
    let reply = last_call_id(&handle).await;
    assert!(
        matches!(reply, Err(AskError::Reply(StoreError::NotOpen(_)))),
        "{reply:?}"
    );
    assert!(!handle.health().report().usable);
    bring_up().await;
    usable(&handle).await;
    assert_eq!(last_call_id(&handle).await, Ok(None));
    assert_eq!(handle.health().report().detail, serde_json::json!({"seq": 0}));
    assert_eq!(handle.health().report().restarts, 0);
}

#[actix_rt::test]
async fn a_store_whose_directory_comes_later_is_opened_then() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("later");
    let url = format!("sqlite:{}", directory.join("cdr.db").display());
    is_tried_again(settings(&url), async || std::fs::create_dir(&directory).unwrap()).await;
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn a_store_whose_database_comes_later_is_opened_then() {
    let (settings, create) = Database::postgres_later();
    is_tried_again(settings, create).await;
}

#[actix_rt::test]
async fn every_request_reaches_the_store() {
    let database = Database::sqlite();
    let handle = start(database.settings.clone());
    usable(&handle).await;
    let position = Position {
        recordings: Some(5),
        ..Position::default()
    };
    let mut batch = legs(1..4);
    batch.position = Some(position.clone());
    apply(&handle, batch).await;
    let deadline = Instant::now() + TIMEOUT;
    let pbx = || "a".to_owned();
    let asked = handle.ask(GetPosition { pbx: pbx() }, deadline).await;
    assert_eq!(asked, Ok(position));
    let range = CdrRange::CdrIds(vec![leg(2, "").row.cdr_id]);
    let asked = handle.ask(ListDigests { pbx: pbx(), range }, deadline).await;
    let expected = (leg(2, "").row.cdr_id.to_string(), leg(2, "").source_digest);
    assert_eq!(asked, Ok(vec![expected]));
    assert_eq!(
        last_call_id(&handle).await,
        Ok(Some(leg(3, "").row.call_history_id))
    );
    let mut pages = search(&handle).await;
    assert_eq!(pages.first.len(), 3);
    assert_eq!(pages.rest.recv().await, None);
    permits_return(&handle).await;
}

#[actix_rt::test]
async fn a_long_answer_arrives_whole_and_in_order() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 1_600).await;
    let mut pages = search(&handle).await;
    let mut ids: Vec<_> = pages.first.iter().map(|row| row.cdr_id).collect();
    while let Some(page) = pages.rest.recv().await {
        ids.extend(page.unwrap().iter().map(|row| row.cdr_id));
    }
    let expected: Vec<_> = (0..1_600).map(|n| leg(n, "").row.cdr_id).collect();
    assert_eq!(ids, expected);
    permits_return(&handle).await;
}

#[actix_rt::test]
async fn what_a_reply_hands_out_is_known_once_it_is_whole() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 1_600).await;
    let mut pages = search(&handle).await;
    let greatest = leg(1_599, "").row.call_history_id.to_string();
    // A reply that breaks off hands nothing out, one that is whole does.
    for rounds in [1, 3] {
        for _ in 0..rounds {
            pages.rest.recv().await.unwrap().unwrap();
        }
        if rounds == 3 {
            assert!(pages.rest.recv().await.is_none());
        }
        drop(pages);
        permits_return(&handle).await;
        let changed = Batch {
            cdrs: vec![leg(7, &rounds.to_string())],
            ..Batch::default()
        };
        apply(&handle, changed).await;
        let since = search_after(&handle, &greatest).await.unwrap();
        assert_eq!(since.first.len(), rounds / 3, "after {rounds} pages more");
        pages = search(&handle).await;
    }
}

#[actix_rt::test]
async fn the_last_call_id_is_handed_out_too() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 9).await;
    let last = last_call_id(&handle).await.unwrap().unwrap().to_string();
    assert!(search_after(&handle, &last).await.unwrap().first.is_empty());
    let changed = Batch {
        cdrs: vec![leg(3, "late")],
        ..Batch::default()
    };
    apply(&handle, changed).await;
    let since = search_after(&handle, &last).await.unwrap();
    assert_eq!(since.first[0].cdr_id, leg(3, "").row.cdr_id);
}

#[actix_rt::test]
async fn what_cannot_be_remembered_is_not_handed_out() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 1_600).await;
    database
        .execute("CREATE TRIGGER full BEFORE INSERT ON client_cursor BEGIN SELECT raise(ABORT, 'full'); END")
        .await;
    let last = last_call_id(&handle).await;
    assert!(
        matches!(last, Err(AskError::Reply(StoreError::Query(_)))),
        "{last:?}"
    );
    let short = search_after(&handle, &leg(1_590, "").row.call_history_id.to_string()).await;
    assert!(
        matches!(short, Err(AskError::Reply(StoreError::Query(_)))),
        "{short:?}"
    );
    let (whole, error) = drain(search(&handle).await).await;
    assert_eq!(whole, 2);
    assert!(matches!(error, Some(StoreError::Query(_))), "{error:?}");
}

/// What is left in the channel: so many whole pages, and how it ended.
async fn drain(mut pages: CdrPages) -> (usize, Option<StoreError>) {
    let mut whole = 0;
    while let Some(page) = pages.rest.recv().await {
        match page {
            Ok(page) => {
                whole += usize::from(page.len() == 500);
            }
            Err(error) => {
                assert_eq!(pages.rest.recv().await, None);
                return (whole, Some(error));
            }
        }
    }
    (whole, None)
}

#[actix_rt::test]
async fn a_reader_that_dawdles_is_told_that_it_got_half_an_answer() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 4_000).await;
    let pages = search(&handle).await;
    until("the pages ahead were not read", || pages.rest.len() == 2).await;
    tokio::time::pause();
    sleep(Duration::from_secs(9)).await;
    assert_eq!(handle.in_flight(Class::Read), 0, "it keeps nobody out");
    assert!(!pages.rest.is_closed());
    sleep(Duration::from_secs(2)).await;
    let late = StoreError::Unavailable("a page was not taken in time".to_owned());
    assert_eq!(drain(pages).await, (2, Some(late)));
}

#[actix_rt::test]
async fn a_slow_reader_of_long_answers_keeps_nobody_else_out() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 4_000).await;
    let of_a_client = Limits::default().in_flight / 2;
    let mut held = Vec::new();
    for _ in 0..of_a_client {
        held.push(search(&handle).await);
    }
    let more = join_all((0..10).map(|_| search_after(&handle, "0")));
    let others = async {
        for other in 0..3 {
            let other = ClientId::named(format!("other {other}"));
            assert!(search_of(&handle, &other, "0").await.is_ok(), "{other}");
        }
        assert!(last_call_id(&handle).await.is_ok());
    };
    let (refused, ()) = tokio::join!(more, others);
    for refused in refused {
        let expected = AskError::Reply(StoreError::TooManyAnswers);
        assert_eq!(
            refused.map(|_| ()),
            Err(expected),
            "the store is well all the same"
        );
    }
    drop(held);
    search(&handle).await;
}

#[actix_rt::test]
async fn twenty_long_answers_at_once_wait_for_each_other() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 1_200).await;
    let answers = (0..20).map(|_| async {
        let pages = search_after(&handle, "0")
            .await
            .expect("a turn within its second");
        drain(pages).await
    });
    for answer in join_all(answers).await {
        assert_eq!(answer, (1, None));
    }
}

#[actix_rt::test]
async fn a_store_that_fails_half_way_ends_the_answer_with_its_error() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 4_000).await;
    let pages = search(&handle).await;
    until("the pages ahead were not read", || pages.rest.len() == 2).await;
    database.execute("ALTER TABLE cdr RENAME TO elsewhere").await;
    let (whole, error) = drain(pages).await;
    assert_eq!(whole, 2);
    assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
    permits_return(&handle).await;
}

#[actix_rt::test]
async fn a_store_that_breaks_is_said_to_be_down_and_up_again() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 1).await;
    database
        .execute("ALTER TABLE feed_head RENAME TO elsewhere")
        .await;
    until("nobody noticed", || !handle.health().report().usable).await;
    database
        .execute("ALTER TABLE elsewhere RENAME TO feed_head")
        .await;
    usable(&handle).await;
}

#[actix_rt::test]
async fn a_rebuilt_actor_has_its_store_again() {
    let database = Database::sqlite();
    let handle = with_legs(&database, 2).await;
    handle.inject(InjectedFault::Panic);
    until("never rebuilt", || handle.health().report().restarts == 1).await;
    usable(&handle).await;
    assert_eq!(
        last_call_id(&handle).await,
        Ok(Some(leg(1, "").row.call_history_id))
    );
}
