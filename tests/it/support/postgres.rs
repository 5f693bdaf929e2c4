//! A database of its own for each test, on the PostgreSQL that `tests/run.sh` starts.

use std::env;
use std::thread;
use std::time::Duration;

use tokio_postgres::NoTls;
use uuid::Uuid;

const TIME_LIMIT: Duration = Duration::from_secs(60);

/// An empty database. Dropping it removes it, as far as the server still answers.
#[derive(Debug)]
pub(crate) struct Database {
    /// `postgres://…`, of this database.
    pub(crate) url: String,
    server: String,
    name: String,
}

/// Makes a database.
pub(crate) async fn fresh_database() -> Database {
    let server = env::var("MEGE_TEST_POSTGRES_URL");
    let server =
        server.expect("MEGE_TEST_POSTGRES_URL is not set: tests/run.sh starts a PostgreSQL and sets it");
    let name = format!("mege_{}", Uuid::new_v4().simple());
    execute(&server, &format!("CREATE DATABASE {name}"))
        .await
        .expect("a database");
    let (base, _) = server.rsplit_once('/').expect("a URL that ends with a database");
    Database {
        url: format!("{base}/{name}?sslmode=disable"),
        server,
        name,
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, drop_it) = (
            self.server.clone(),
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
        );
        // A thread, since the runtime of the test cannot be entered again here. What is left goes with the server.
        let removal = thread::spawn(move || {
            actix_rt::System::new()
                .block_on(execute(&server, &drop_it))
                .is_ok()
        });
        let _ = removal.join();
    }
}

/// One statement on a connection of its own.
async fn execute(server: &str, statement: &str) -> Result<(), String> {
    let work = async {
        let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
        let (outcome, _) = tokio::join!(
            async move { client.batch_execute(statement).await }, // ends the connection by dropping the client
            connection
        );
        outcome
    };
    let outcome = tokio::time::timeout(TIME_LIMIT, work)
        .await
        .map_err(|_| "PostgreSQL does not answer".to_owned())?;
    outcome.map_err(|error| error.to_string())
}
