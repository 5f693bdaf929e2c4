use futures_util::{StreamExt as _, stream};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use super::requests::MIN_TIME_LEFT;
use super::*;
use crate::actor::AskError;
use crate::ari::Originate;
use crate::call::{CallId, CallState, Journal, Registry, RequestedBy};
use crate::ledger::key::{AuditLog, KeyRing};
use crate::ledger::{self, GetCall, LedgerSettings};
use crate::simulator::{Simulator, SimulatorSettings};
use crate::telephony::{Extension, PhoneNumber};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn an_asterisk_that_is_down_for_a_minute_is_tried_at_most_twelve_times() {
    for _ in 0..10_000 {
        let mut passed = Duration::ZERO;
        let tries = (0..).take_while(|&attempt| {
            passed += RECONNECT.delay(attempt);
            passed <= Duration::from_mins(1)
        });
        assert!((6..=12).contains(&tries.count()));
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let polls = async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, polls).await.expect(what);
}

/// A simulated Asterisk, a ledger of its own, and what an actor between them is built from.
struct Surroundings {
    simulator: Simulator,
    registry: Registry,
    settings: AriSettings,
    _folder: TempDir,
}

impl Surroundings {
    async fn new() -> Self {
        let pbx = SimulatorSettings::default();
        let simulator = Simulator::start(pbx.clone()).await.unwrap();
        let asterisk = json!({
            "host": "127.0.0.1", "port": simulator.ari_address().port(), "user": pbx.user, "password": pbx.password,
            "trunk": pbx.trunks[0], "context": "outgoing",
        });
        let asterisk: AsteriskSettings = serde_json::from_value(asterisk).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("mege.db").display());
        let store = json!({ "url": url, "connections": 2, "timeout_ms": 5_000, "limits": {} });
        let ledger = LedgerSettings {
            store: serde_json::from_value(store).unwrap(),
            journal: Journal::default(),
            keys: KeyRing::default(),
            audit: AuditLog::default(),
            audit_keep_days: 1,
            host: "test:3000".to_owned(),
            provisional_instance: "p".to_owned(),
        };
        let registry = Registry::new(ledger.journal.clone());
        let settings = AriSettings {
            name: "asterisk.test".to_owned(),
            live_calls: registry.register("asterisk.test", &asterisk),
            asterisk,
            ledger: ledger::spawn(ledger, Placement::Current),
            provisional_instance: "p".to_owned(),
        };
        Self {
            simulator,
            registry,
            settings,
            _folder: folder,
        }
    }
}

#[actix_rt::test]
async fn a_gap_is_counted_and_asterisk_is_asked_what_it_hid() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let surroundings = Surroundings::new().await;
    let (simulator, settings) = (&surroundings.simulator, surroundings.settings.clone());
    let health = Health::new("asterisk.test");
    let (watched, looks) = (health.clone(), || {
        simulator.asterisk().requests().get("GET /channels").copied()
    });
    let (gap, gaps) = tokio::sync::mpsc::channel(1);
    let _actor = AriActor::create(|ctx| {
        // It stays open: its end would be that of the connection.
        ctx.add_stream(ReceiverStream::new(gaps).chain(stream::pending()));
        AriActor::new(settings, health)
    });
    until("it is connected", || {
        watched.report().detail["connection"] == "connected"
    })
    .await;
    assert_eq!(looks(), Some(1));
    gap.send(Received::Gap(7)).await.unwrap();
    until("Asterisk is asked again", || looks() == Some(2)).await;
    let metrics = recorder.handle().render();
    let counted = r#"mege_ari_gaps_total{actor="asterisk.test"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[actix_rt::test]
async fn with_no_time_left_nothing_is_sent_and_the_call_has_failed() {
    let surroundings = Surroundings::new().await;
    let asterisk = spawn(surroundings.settings.clone(), Placement::Current);
    asterisk.health().became_usable().await;
    let call_id = CallId::mint();
    let originate = Originate {
        call_id,
        extension: Extension::parse("102", None).unwrap(),
        number: PhoneNumber::parse("79102223311").unwrap(),
        requested_by: RequestedBy {
            key: None,
            extension: None,
        },
    };
    let placed = asterisk.ask(originate, Instant::now() + MIN_TIME_LEFT / 2).await;
    // Which says nothing of Asterisk, too.
    assert_eq!(placed, Err(AskError::DeadlineExceeded { begun: false }));
    until("its slot is free", || {
        surroundings.registry.get(call_id).is_none()
    })
    .await;
    let ledger = &surroundings.settings.ledger;
    let call = ledger.ask(GetCall(call_id), Instant::now() + LIMIT).await;
    assert_eq!(call.unwrap().unwrap().state, CallState::Failed);
    assert!(
        surroundings.simulator.asterisk().originates().is_empty(),
        "nobody was asked"
    );
}
