//! Calls are found again after a restart by whichever name the gateway had placed them: its own, or the provisional one that it
//! goes by while the ledger is away.

use std::fs;
use std::path::PathBuf;

use mege_gateway::actor::ClientId;
use mege_gateway::ari::{Trunk, look_for_call};
use mege_gateway::call::{CallId, CallState};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::ari::patient;
#[cfg(feature = "peers")]
use crate::real_call::through;
use crate::support::app::{LIMIT, TestApp, simulated};
#[cfg(feature = "peers")]
use crate::support::asterisk::Asterisk;
use crate::support::calls::{call, detail, originate, until};
use crate::support::eventually;
use crate::support::program::free_tcp_port;
#[cfg(feature = "peers")]
use crate::support::sipp::Sipp;

/// Its far end answers and stays.
const NUMBER: u64 = 79_990_000_001;

/// A gateway that is started again and again on one port, with a ledger that comes and goes.
struct Restarted {
    variables: Vec<(&'static str, String)>,
    ledger: PathBuf,
    kept: PathBuf,
    _folder: TempDir,
}

impl Restarted {
    fn new(mut variables: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = format!("sqlite:{}", folder.path().join("mege.sqlite").display());
        variables.push(("DATABASE_URL", store));
        // Host and port are what a gateway is known by.
        variables.push(("APP_PORT", free_tcp_port().to_string()));
        Self {
            variables,
            ledger: folder.path().join("mege-ledger.sqlite"),
            kept: folder.path().join("kept"),
            _folder: folder,
        }
    }

    /// Takes the ledger away, between two starts. A directory is where its file should be.
    fn ledger_goes(&self) {
        if self.ledger.exists() {
            fs::rename(&self.ledger, &self.kept).expect("a file");
        }
        fs::create_dir(&self.ledger).expect("a directory");
    }

    fn ledger_comes(&self) {
        fs::remove_dir(&self.ledger).expect("no directory");
        if self.kept.exists() {
            fs::rename(&self.kept, &self.ledger).expect("a file");
        }
    }

    async fn start(&self) -> TestApp {
        let app = TestApp::start(&self.variables).await;
        // A few seconds without a ledger: it waits for the name that this has for it.
        app.connected().await;
        app
    }
}

/// Whether the gateway goes by its provisional name.
fn is_provisional(app: &TestApp) -> bool {
    let detail = detail(app);
    let (_, name) = detail["app"]
        .as_str()
        .expect("a name")
        .rsplit_once('-')
        .expect("an instance");
    name.starts_with('p')
}

async fn place(app: &TestApp) -> CallId {
    let id = CallId::mint();
    let placed = app.integrations.asterisk["main"].ask(originate(id, 102, NUMBER), Instant::now() + LIMIT);
    assert_eq!(placed.await, Ok(()));
    followed(app, id).await;
    id
}

/// Waits until the gateway follows the call, and it is talked on.
async fn followed(app: &TestApp, id: CallId) {
    eventually("it is followed", LIMIT, async || {
        let live = app.integrations.stores.registry.get(id)?;
        (live.state == CallState::Bridged).then_some(())
    })
    .await;
}

fn trunk(app: &TestApp) -> &Trunk {
    &app.integrations.trunks["main"]
}

/// Ends a call that is followed, and waits until the ledger has that.
async fn end(app: &TestApp, id: CallId) {
    app.ready().await;
    let shown = app.get(&format!("/v1/calls/{id}")).await;
    assert_eq!(shown.json()["state"], "bridged", "{}", shown.body);
    let hung_up = app.hang_up(id).await;
    assert_eq!(hung_up.status.as_u16(), 204, "{}", hung_up.body);
    let ended = until(app, id, CallState::Ended).await;
    assert!(ended.closed);
    assert!(app.integrations.stores.registry.get(id).is_none());
}

/// The ledger comes after the start, as a database does that starts with the same machine.
async fn found_after_a_late_ledger(variables: Vec<(&'static str, String)>) {
    let gateway = Restarted::new(variables);
    gateway.ledger_goes();
    let app = gateway.start().await;
    assert!(is_provisional(&app));
    let before = place(&app).await;
    gateway.ledger_comes();
    app.ready().await;
    let after = place(&app).await;
    app.stop().await;

    let app = gateway.start().await;
    assert!(!is_provisional(&app));
    for id in [before, after] {
        followed(&app, id).await;
        end(&app, id).await;
    }
}

#[actix_rt::test]
async fn calls_of_a_start_before_the_ledger_are_found_after_the_next() {
    let simulator = patient().await;
    found_after_a_late_ledger(simulated(&simulator)).await;
    assert_eq!(
        simulator.asterisk().originates().len(),
        2,
        "nothing was dialled again"
    );
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn calls_of_a_start_before_the_ledger_are_found_after_the_next_on_asterisk() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    found_after_a_late_ledger(through(&asterisk)).await;
    assert_eq!(sipp.invites().len(), 4, "nothing was dialled again");
}

#[actix_rt::test]
async fn calls_from_before_a_start_without_the_ledger_are_found_when_it_is_back() {
    let simulator = patient().await;
    let gateway = Restarted::new(simulated(&simulator));
    let app = gateway.start().await;
    let earlier = place(&app).await;
    app.stop().await;

    gateway.ledger_goes();
    let app = gateway.start().await;
    assert!(is_provisional(&app));
    let later = place(&app).await;
    assert!(
        app.integrations.stores.registry.get(earlier).is_none(),
        "nobody can tell"
    );
    gateway.ledger_comes();
    followed(&app, earlier).await;
    app.ready().await;
    assert_eq!(call(&app, later).await.state, CallState::Bridged);
    app.stop().await;

    // And the same the other way round.
    gateway.ledger_goes();
    let app = gateway.start().await;
    gateway.ledger_comes();
    for id in [earlier, later] {
        followed(&app, id).await;
        end(&app, id).await;
    }
    assert_eq!(
        simulator.asterisk().originates().len(),
        2,
        "nothing was dialled again"
    );
}

#[actix_rt::test]
async fn a_call_that_was_never_recorded_is_found_on_asterisk_and_ended() {
    let simulator = patient().await;
    let gateway = Restarted::new(simulated(&simulator));
    gateway.ledger_goes();
    let app = gateway.start().await;
    let id = place(&app).await;
    app.stop().await;

    let app = gateway.start().await;
    assert!(app.integrations.stores.registry.get(id).is_none());
    let client = ClientId::named("crm");
    let look = async || {
        look_for_call([trunk(&app)], &client, id, Instant::now() + LIMIT)
            .await
            .expect("an answer")
    };
    let found = look().await.expect("it lives");
    assert_eq!(
        (found.id, found.state, found.pbx()),
        (id, CallState::Answered, "main")
    );
    assert_eq!(
        (found.legs.len(), found.answered_at, &found.number),
        (1, None, &None)
    );
    assert_eq!(
        trunk(&app).hang_up(&client, &found, Instant::now() + LIMIT).await,
        Ok(true)
    );
    eventually("it is over", LIMIT, async || look().await.is_none().then_some(())).await;
}
