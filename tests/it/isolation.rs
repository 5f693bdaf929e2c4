//! An integration that hangs holds up nobody but those who wait for it.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::actor::Class;
use mege_gateway::pac::{ExecuteSql, Statement};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, PacFault, PacOperation, Simulator};
use tokio::time::Instant;

use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;

/// How many requests hang.
const HANGING: usize = 500;

/// How many of them the bulkhead lets in at once; the others wait for those.
const IN_FLIGHT: usize = 64;

/// How many calls are placed meanwhile, by how many clients.
const CALLS: usize = 1_000;
const CLIENTS: usize = 32;

/// A gateway in which one integration takes many requests and has all the time in the world for them.
async fn patient(integration: &str) -> (Simulator, Rc<TestApp>) {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    // On a busy machine others wait for each other, too.
    variables.extend(
        [
            "MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS",
            "MEGE__PAC__MAIN__LIMITS__WAIT_MS",
            "MEGE__STORE__LIMITS__WAIT_MS",
        ]
        .map(|name| (name, "60000".to_owned())),
    );
    let names: [&'static str; 3] = match integration {
        "pac" => [
            "MEGE__PAC__MAIN__LIMITS__IN_FLIGHT",
            "MEGE__PAC__MAIN__LIMITS__WAITING",
            "MEGE__PAC__MAIN__REQUEST_TIMEOUT_MS",
        ],
        _ => [
            "MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT",
            "MEGE__ASTERISK__MAIN__LIMITS__WAITING",
            "MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS",
        ],
    };
    let values = ["64", "1000", "60000"];
    variables.extend(names.into_iter().zip(values.map(str::to_owned)));
    variables.push(("MEGE__HTTP__TIMEOUT_MS", "60000".to_owned()));
    let app = TestApp::start(&variables).await;
    app.ready().await;
    app.connected().await;
    (simulator, Rc::new(app))
}

#[actix_rt::test]
async fn a_thousand_calls_succeed_while_five_hundred_requests_to_pac_hang() {
    let (simulator, app) = patient("pac").await;
    simulator
        .pbx()
        .fail(PacOperation::ExecuteSql, PacFault::Hang, HowOften::UntilCleared);
    for _ in 0..HANGING {
        let pac = app.integrations.pac["main"].clone();
        let request = ExecuteSql {
            statement: Statement::new("one", "SELECT 1", &[]),
        };
        actix_rt::spawn(async move { pac.ask(request, Instant::now() + Duration::from_secs(120)).await });
    }
    let load = || {
        app.integrations.pac["main"]
            .load_of(Class::Read)
            .expect("a class of it")
    };
    let hang = || load().in_flight == IN_FLIGHT && load().waiting >= HANGING - IN_FLIGHT;
    eventually("all of them hang", LIMIT, async || hang().then_some(())).await;

    let clients = (0..CLIENTS).map(|client| {
        let app = Rc::clone(&app);
        async move {
            let mut ids = Vec::new();
            for call in (client..CALLS).step_by(CLIENTS) {
                let reply = app.make_call(102, 79_000_000_000 + call as u64).await;
                assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
                ids.push(reply.json()["uniqueid"].as_str().expect("an id").to_owned());
            }
            ids
        }
    });
    let answered: BTreeSet<String> = join_all(clients).await.into_iter().flatten().collect();
    assert!(hang(), "they hung all the while");

    let originates = simulator.asterisk().originates();
    assert_eq!(originates.len(), CALLS, "each was sent once");
    let placed: BTreeSet<String> = originates
        .into_iter()
        .filter_map(|call| call.channel_id)
        .collect();
    assert_eq!(placed.len(), CALLS, "each with an id of its own");
    assert_eq!(placed, answered);
}

#[actix_rt::test]
async fn cdrs_are_served_while_five_hundred_calls_hang() {
    let (simulator, app) = patient("asterisk").await;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, AriFault::Hang, HowOften::UntilCleared);
    for call in 0..HANGING {
        let app = Rc::clone(&app);
        actix_rt::spawn(async move { app.make_call(102, 79_000_000_000 + call as u64).await });
    }
    let load = || {
        app.integrations.asterisk["main"]
            .load_of(Class::Originate)
            .expect("a class of it")
    };
    let hang = || load().in_flight == IN_FLIGHT && load().waiting >= HANGING - IN_FLIGHT;
    eventually("all of them hang", LIMIT, async || hang().then_some(())).await;

    let clients = (0..CLIENTS).map(|_| {
        let app = Rc::clone(&app);
        async move {
            for _ in 0..10 {
                let last = app.get("/pbx-api/last-call-id").await;
                assert_eq!(last.status, StatusCode::OK, "{}", last.body);
                let rows = app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await;
                assert_eq!(rows.status, StatusCode::OK, "{}", rows.body);
            }
        }
    });
    join_all(clients).await;
    assert!(hang(), "they hung all the while");
}
