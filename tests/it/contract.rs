//! The original's contract, row by row, on a whole gateway and on both stores.

mod cdrs;
mod routes;

use mege_gateway::simulator::Simulator;

use crate::support::app::simulated;

/// The variables that lead a gateway to a simulator and a store, with some of its own over them.
fn variables(
    store: &Store,
    simulator: &Simulator,
    more: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let mut variables = simulated(simulator);
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    if let Store::At(url) = store {
        variables.push(("DATABASE_URL", url.clone()));
    }
    variables
}

/// Where a gateway keeps what it stores.
enum Store {
    /// Files that the test's gateway makes for itself.
    Sqlite,
    /// A database that the test was given.
    #[cfg_attr(not(feature = "peers"), expect(dead_code, reason = "PostgreSQL is a peer"))]
    At(String),
}

/// Makes a test of each function for each store.
macro_rules! on_both_stores {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[actix_rt::test]
            async fn $name() {
                super::$name(&super::Store::Sqlite).await;
            })*
        }

        #[cfg(feature = "peers")]
        mod on_postgres {
            $(#[actix_rt::test]
            async fn $name() {
                let database = crate::support::postgres::fresh_database().await;
                super::$name(&super::Store::At(database.url.clone())).await;
            })*
        }
    };
}
use on_both_stores;
