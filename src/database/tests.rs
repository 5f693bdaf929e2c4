//! Statements on both databases.

use std::future::pending;

use jiff::Timestamp;
use uuid::Uuid;

use super::*;

const MIGRATIONS: Migrations = Migrations {
    sqlite: || Runner::new(&[]),
    postgres: || Runner::new(&[]),
    history: "schema_history",
};

/// Short where it is to pass, long where it is not.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

/// Runs each test on each database.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("db").display());
                super::$test(url.try_into().unwrap()).await;
            })*
        }

        #[cfg(feature = "peers")]
        mod on_postgres {
            $(#[actix_rt::test]
            async fn $test() {
                let url = crate::database::testing::fresh_database().await;
                super::$test(url.try_into().unwrap()).await;
            })*
        }
    };
}

on_both! {
    what_was_written_is_read
    parameters_have_numbers
    an_error_of_the_work_undoes_it
    work_that_never_ends_is_undone
    errors_quote_no_values
    what_makes_no_sense_is_named_by_its_column
}

const INSERT: &str = "INSERT INTO thing (id, name, flag, number, small, at, list, bytes) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const SELECT: &str = "SELECT id, name, flag, number, small, at, list, bytes FROM thing";

async fn open(url: &StoreUrl, timeout: Duration) -> Database {
    Database::open(url, 2, timeout, &MIGRATIONS).await.unwrap()
}

/// With an empty table.
async fn made(url: &StoreUrl) -> Database {
    let database = open(url, LONG).await;
    let create = match database {
        Database::Sqlite(_) => {
            "CREATE TABLE thing (id TEXT PRIMARY KEY, name TEXT, flag INTEGER, number INTEGER, \
             small INTEGER, at INTEGER, list TEXT, bytes BLOB) STRICT"
        }
        Database::Postgres(_) => {
            "CREATE TABLE thing (id uuid PRIMARY KEY, name text, flag boolean, number bigint, \
             small integer, at timestamptz, list jsonb, bytes bytea)"
        }
    };
    database.execute(create, params![]).await.unwrap();
    database
}

#[derive(Debug, Clone, PartialEq)]
struct Thing {
    id: Uuid,
    name: Option<String>,
    flag: Option<bool>,
    number: Option<i64>,
    small: Option<i64>,
    at: Option<Timestamp>,
    list: Option<Vec<String>>,
    bytes: Option<[u8; 32]>,
}

impl FromRow for Thing {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            flag: row.get(2)?,
            number: row.get(3)?,
            small: row.get(4)?,
            at: row.get(5)?,
            list: row.get::<Option<Json<_>>>(6)?.map(|Json(list)| list),
            bytes: row.get(7)?,
        })
    }
}

impl Thing {
    fn named(name: &str) -> Self {
        Self {
            id: Uuid::now_v7(),
            name: Some(name.to_owned()),
            flag: Some(true),
            number: Some(i64::MIN),
            small: Some(-7),
            at: Some("1969-07-20T20:17:40.000001Z".parse().unwrap()),
            list: Some(vec!["a, \"b\"".to_owned(), "ё".to_owned()]),
            bytes: Some([0xff; 32]),
        }
    }

    fn values(self) -> Vec<Value> {
        let list = self.list.as_ref().map(Value::json).transpose().unwrap();
        params![
            self.id,
            self.name,
            self.flag,
            self.number,
            self.small,
            self.at,
            list,
            self.bytes
        ]
    }
}

async fn things(database: &Database) -> Vec<Thing> {
    database
        .query(format!("{SELECT} ORDER BY id"), params![])
        .await
        .unwrap()
}

async fn what_was_written_is_read(url: StoreUrl) {
    let database = made(&url).await;
    let empty = Thing {
        id: Uuid::max(),
        name: None,
        flag: None,
        number: None,
        small: None,
        at: None,
        list: None,
        bytes: None,
    };
    let all = [Thing::named("ё, '; --"), Thing::named(""), empty];
    for thing in all.clone() {
        assert_eq!(database.execute(INSERT, thing.values()).await, Ok(1));
    }
    assert_eq!(things(&database).await, all);
    // Opened again, also what did not come from memory.
    assert_eq!(things(&open(&url, LONG).await).await, all);
    database.ping().await.unwrap();
}

async fn parameters_have_numbers(url: StoreUrl) {
    let database = made(&url).await;
    let [first, second] = [Thing::named("first"), Thing::named("second")];
    for thing in [&first, &second] {
        database.execute(INSERT, thing.clone().values()).await.unwrap();
    }
    // In any order, as often as needed, each compared as its column's type.
    let select = format!(
        "{SELECT} WHERE name = $2 AND (id = $1 OR $2 = name AND id = $1) AND flag = $3 AND small = $5 \
         AND number = $4 AND at >= $6 AND at <= $6 AND bytes = $7 ORDER BY id LIMIT $8"
    );
    let values = params![
        second.id,
        "second",
        true,
        i64::MIN,
        -7,
        second.at,
        second.bytes,
        9
    ];
    let found: Vec<Thing> = database.query(select.clone(), values.clone()).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&second));
    for count in [0, 7] {
        let too_few = database
            .query::<Thing>(select.clone(), values[..count].to_vec())
            .await;
        assert!(matches!(too_few, Err(StoreError::Query(_))), "{too_few:?}");
    }
    let too_many = database
        .execute("DELETE FROM thing WHERE id = $1", params![second.id, 1])
        .await;
    assert!(matches!(too_many, Err(StoreError::Query(_))), "{too_many:?}");
    assert_eq!(things(&database).await, [first, second]);
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum ThingError {
    #[error("no")]
    No,
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn an_error_of_the_work_undoes_it(url: StoreUrl) {
    let database = made(&url).await;
    let thing = Thing::named("a");
    for refused in [true, false] {
        let thing = thing.clone();
        let write = async move |session: &Session<'_>| {
            let id = thing.id;
            session.execute(INSERT, thing.values()).await?;
            let change = "UPDATE thing SET name = 'b' WHERE id = $1 RETURNING name";
            let name: String = session.query_one(change, params![id]).await?;
            if refused { Err(ThingError::No) } else { Ok(name) }
        };
        let done = database.write(write).await;
        let expected = if refused {
            Err(ThingError::No)
        } else {
            Ok("b".to_owned())
        };
        assert_eq!(done, expected);
        assert_eq!(things(&database).await.len(), usize::from(!refused));
    }
    let none = async |session: &Session<'_>| session.query_one(SELECT, params![]).await.map(|_: Uuid| ());
    assert_eq!(database.read(none).await, Ok(()));
    database.execute("DELETE FROM thing", params![]).await.unwrap();
    assert!(matches!(database.read(none).await, Err(StoreError::Decode(_))));
}

async fn work_that_never_ends_is_undone(url: StoreUrl) {
    let table = made(&url).await;
    let database = open(&url, SHORT).await;
    let write = async |session: &Session<'_>| {
        session.execute(INSERT, Thing::named("a").values()).await?;
        pending::<Result<(), StoreError>>().await
    };
    let done = database.write(write).await;
    assert!(matches!(done, Err(StoreError::Unavailable(_))), "{done:?}");
    // Whoever comes after it has a connection without its transaction.
    database
        .execute(INSERT, Thing::named("b").values())
        .await
        .unwrap();
    let names: Vec<String> = table.query("SELECT name FROM thing", params![]).await.unwrap();
    assert_eq!(names, ["b"]);
}

async fn errors_quote_no_values(url: StoreUrl) {
    let database = made(&url).await;
    let thing = Thing::named("79102223311");
    database.execute(INSERT, thing.clone().values()).await.unwrap();
    let mut values = thing.clone().values();
    let twice = database.execute(INSERT, values.clone()).await.unwrap_err();
    values[3] = Value::from("79102223311");
    let wrong = database.execute(INSERT, values).await.unwrap_err();
    for error in [twice, wrong] {
        assert!(matches!(error, StoreError::Query(_)), "{error}");
        assert!(!error.to_string().contains("7910") && !error.to_string().contains(&thing.id.to_string()));
    }
    // No row's fault.
    for missing in [
        "DELETE FROM elsewhere",
        "UPDATE thing SET name = missing",
        "DELETE FROM thing WHERE missing = 7",
    ] {
        let missing = database.execute(missing, params![]).await;
        assert!(matches!(missing, Err(StoreError::Unavailable(_))), "{missing:?}");
    }
}

async fn what_makes_no_sense_is_named_by_its_column(url: StoreUrl) {
    let database = made(&url).await;
    database
        .execute(INSERT, Thing::named("no uuid").values())
        .await
        .unwrap();
    let nonsense: Result<Vec<Uuid>, _> = database.query("SELECT name FROM thing", params![]).await;
    assert_eq!(nonsense, Err(StoreError::Decode("name".to_owned())));
    let null: Result<Vec<String>, _> = database.query("SELECT NULL AS empty FROM thing", params![]).await;
    assert_eq!(null, Err(StoreError::Decode("empty".to_owned())));
    let missing: Result<Vec<(String, String)>, _> = database.query("SELECT name FROM thing", params![]).await;
    assert_eq!(missing, Err(StoreError::Decode("column 1".to_owned())));
}

#[tokio::test]
async fn in_a_file_each_write_reaches_the_disk_and_readers_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("db").display());
    let database = made(&url.try_into().unwrap()).await;
    let Database::Sqlite(file) = &database else {
        unreachable!("it is SQLite");
    };
    let relax = |connection: &mut rusqlite::Connection| {
        Ok(connection.pragma_update(None, "synchronous", "normal")?)
    };
    file.writer.with(relax).await.unwrap();
    let read = async |session: &Session<'_>| session.query_one("PRAGMA synchronous", params![]).await;
    let full: Result<i64, StoreError> = database.write(read).await;
    assert_eq!(full, Ok(2));
    let insert = format!("{INSERT} RETURNING id");
    let written = database.query::<Uuid>(insert, Thing::named("a").values()).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    assert_eq!(things(&database).await, []);
}
