//! Stores that do not answer, do not answer in time, or come back.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// A guard: what takes longer does not end at all.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut settings = settings(&format!("postgres://user:secret@{address}/cdr"));
    settings.timeout_ms = 200;
    let opened = timeout(LIMIT, open_store(&settings)).await.unwrap();
    let error = opened.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings = settings(&format!("postgres://user:secret@{address}/cdr"));
    let error = open_store(&settings).await.err().unwrap();
    assert_eq!(
        error,
        StoreError::Unavailable("error connecting to server: connection refused".to_owned())
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unavailable() {
    let database = Database::sqlite();
    let StoreUrl::Sqlite(file) = &database.settings.url else {
        unreachable!("it is SQLite");
    };
    std::fs::write(file, "something else, and long enough to be looked at".repeat(40)).unwrap();
    let error = open_store(&database.settings).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

/// Locks what a batch needs, for as long as the returned connection lives.
async fn locked(database: &Database) -> Box<dyn std::any::Any> {
    match &database.settings.url {
        StoreUrl::Sqlite(file) => {
            let connection = rusqlite::Connection::open(file).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            Box::new(connection)
        }
        StoreUrl::Postgres(url) => {
            let client = connect(url).await;
            client
                .batch_execute("BEGIN; SELECT seq FROM feed_head FOR UPDATE")
                .await
                .unwrap();
            Box::new(client)
        }
    }
}

contract! {
    a_locked_store_is_given_up_in_time_and_used_again
}

async fn a_locked_store_is_given_up_in_time_and_used_again(mut database: Database) {
    database.settings.timeout_ms = 300;
    let store = database.open().await;
    let lock = locked(&database).await;
    let error = timeout(LIMIT, store.apply("a", legs(0..10))).await.unwrap();
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    // Reading goes on meanwhile.
    assert_eq!(store.head().await.unwrap(), 0);
    drop(lock);
    let again = async {
        while store.apply("a", legs(0..10)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, again).await.unwrap();
    assert_eq!(store.head().await.unwrap(), 10);
}

#[cfg(feature = "peers")]
#[tokio::test]
async fn a_server_that_cut_its_connections_is_connected_to_again() {
    let database = Database::postgres().await;
    let store = database.open().await;
    store.apply("a", legs(0..10)).await.unwrap();
    database
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    let again = async {
        while store.apply("a", legs(10..20)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, again).await.unwrap();
    assert_eq!(store.rows("a", None, 100).await.unwrap().len(), 20);
}

#[cfg(feature = "peers")]
#[tokio::test]
async fn whoever_finds_all_connections_to_the_server_busy_is_told_so() {
    let mut database = Database::postgres().await;
    database.settings.timeout_ms = 1_000;
    database.settings.connections = 1;
    let store = database.open().await;
    let _lock = locked(&database).await;
    let apply = |pbx: &'static str| {
        let store = store.clone();
        tokio::spawn(async move { store.apply(pbx, legs(0..1)).await })
    };
    let (first, second) = (apply("a"), apply("b"));
    tokio::task::yield_now().await;
    assert_eq!(store.head().await, Err(StoreError::PoolTimeout));
    for locked in [first, second] {
        let error = locked.await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
}
