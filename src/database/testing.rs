//! A PostgreSQL database for one test.

use tokio_postgres::NoTls;
use uuid::Uuid;

/// Makes an empty database on the server of `MEGE_TEST_POSTGRES_URL` and returns its URL.
pub(crate) async fn fresh_database() -> String {
    let server = std::env::var("MEGE_TEST_POSTGRES_URL")
        .expect("MEGE_TEST_POSTGRES_URL names a PostgreSQL for tests: run tests/run.sh");
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await.unwrap();
    actix_rt::spawn(async move {
        let _ = connection.await;
    });
    let name = format!("mege_{}", Uuid::new_v4().simple());
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (base, _) = server.rsplit_once('/').expect("the URL ends in a database");
    format!("{base}/{name}?sslmode=disable")
}
