//! A call is looked for and ended by any gateway that has its Asterisk.

use std::time::Duration;

use mege_gateway::actor::{AskError, ClientId, Operate as _};
use mege_gateway::ari::{AriError, look_for_call};
use mege_gateway::call::CallId;
#[cfg(feature = "peers")]
use mege_gateway::call::CallState;
#[cfg(feature = "peers")]
use mege_gateway::ledger::{SearchCalls, StateFilter};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use tokio::time::Instant;

use crate::ari::patient;
#[cfg(feature = "peers")]
use crate::real_call::through;
use crate::support::app::{LIMIT, TestApp, simulated, simulated_as};
#[cfg(feature = "peers")]
use crate::support::asterisk::Asterisk;
use crate::support::calls::talking;
#[cfg(feature = "peers")]
use crate::support::calls::{call, until};
use crate::support::eventually;
#[cfg(feature = "peers")]
use crate::support::postgres::fresh_database;
#[cfg(feature = "peers")]
use crate::support::program::free_tcp_port;
#[cfg(feature = "peers")]
use crate::support::sipp::Sipp;

#[actix_rt::test]
async fn the_asterisk_that_has_a_call_tells_whatever_the_others_do() {
    let (a, b) = (patient().await, patient().await);
    let (another, mut variables) = (simulated_as("B", &b), simulated(&a));
    variables.extend(another.iter().map(|(name, value)| (name.as_str(), value.clone())));
    // One that has the first one's calls, and another trunk.
    variables.push(("MEGE__ASTERISK__B__TRUNK", "elsewhere".to_owned()));
    b.asterisk().add_trunk("elsewhere");
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let id = talking(&app).await;
    let trunks = &app.integrations.trunks;
    let within = |time: Duration| Instant::now() + time;
    let client = ClientId::named("crm");
    let look = async |id, time| look_for_call(trunks.values(), &client, id, within(time)).await;

    let found = look(id, LIMIT).await.expect("an answer").expect("a call");
    assert_eq!((found.id, found.integration.as_str()), (id, "asterisk.main"));
    assert_eq!(look(CallId::mint(), LIMIT).await, Ok(None));

    // One that hangs holds up nobody who is told by another, and is not taken for one that has no such call.
    b.asterisk()
        .fail(AriOperation::Other, AriFault::Hang, HowOften::UntilCleared);
    let begun = Instant::now();
    assert!(look(id, LIMIT).await.expect("an answer").is_some());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let late = look(CallId::mint(), Duration::from_millis(200)).await;
    assert_eq!(late, Err(AskError::DeadlineExceeded { begun: true }));
    b.asterisk().clear_faults();
    b.asterisk().stop_listening().await;
    let refused = look(CallId::mint(), LIMIT).await;
    assert!(
        matches!(refused, Err(AskError::Reply(AriError::RequestNotSent(_)))),
        "{refused:?}"
    );

    // A pause keeps nobody from finding a call and ending it.
    assert!(app.integrations.asterisk["main"].pause());
    let found = look(id, LIMIT).await.expect("an answer").expect("a call");
    assert_eq!(
        trunks["main"].hang_up(&client, &found, within(LIMIT)).await,
        Ok(true)
    );
    eventually("it is over", LIMIT, async || {
        let again = trunks["main"].hang_up(&client, &found, within(LIMIT)).await;
        (again == Ok(false)).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_channel_through_another_trunk_is_no_call_of_this_one() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    let mut variables = simulated(&simulator);
    simulator.asterisk().add_trunk("other");
    variables.push(("ASTERISK_PBX3CX_TRUNK_ID", "other".to_owned()));
    variables.push(("MEGE__ASTERISK__MAIN__APP_PREFIX", "other".to_owned()));
    let other = TestApp::start(&variables).await;
    other.connected().await;
    let look = async |app: &TestApp| {
        let trunks = app.integrations.trunks.values();
        look_for_call(trunks, &ClientId::named("crm"), id, Instant::now() + LIMIT)
            .await
            .expect("an answer")
    };
    assert!(look(&app).await.is_some());
    assert_eq!(look(&other).await, None);
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn a_call_of_one_gateway_is_found_and_ended_through_another_on_the_same_ledger() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let database = fresh_database().await;
    let start = async || {
        let mut variables = through(&asterisk);
        variables.push(("DATABASE_URL", database.url.clone()));
        // Host and port are what a gateway is known by.
        variables.push(("APP_PORT", free_tcp_port().to_string()));
        let app = TestApp::start(&variables).await;
        app.connected().await;
        app
    };
    let (one, other) = (start().await, start().await);
    let id = talking(&one).await;
    assert!(
        other.integrations.stores.registry.get(id).is_none(),
        "it does not follow it"
    );
    let found = until(&other, id, CallState::Bridged).await;
    let live = SearchCalls {
        state: Some(StateFilter::Live),
        limit: 10,
        ..SearchCalls::default()
    };
    let ledger = &other.integrations.stores.ledger;
    let listed = ledger.ask(live, Instant::now() + LIMIT).await.expect("an answer");
    assert_eq!(listed.iter().map(|call| call.id).collect::<Vec<_>>(), [id]);
    assert_eq!(found.legs.len(), 2);
    let path = format!("/v1/calls/{id}");
    assert_eq!(other.get(&path).await.json()["state"], "bridged");
    let hung_up = other.hang_up(id).await;
    assert_eq!(hung_up.status.as_u16(), 204, "{}", hung_up.body);
    until(&other, id, CallState::Ended).await;
    assert_eq!(call(&one, id).await.state, CallState::Ended);
    for gateway in [&one, &other] {
        assert_eq!(gateway.get(&path).await.json()["disposition"], "answered");
    }
}
