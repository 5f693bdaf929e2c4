use futures_util::{StreamExt as _, stream};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::time::timeout;

use super::super::live_calls::NodeCalls;
use super::*;
use crate::ledger::key::{AuditLog, KeyRing};
use crate::ledger::{self, LedgerSettings};
use crate::simulator::{Simulator, SimulatorSettings};

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

#[actix_rt::test]
async fn a_gap_is_counted_and_asterisk_is_asked_what_it_hid() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let pbx = SimulatorSettings::default();
    let simulator = Simulator::start(pbx.clone()).await.unwrap();
    let asterisk = json!({
        "host": "127.0.0.1", "port": simulator.ari_address().port(), "user": pbx.user, "password": pbx.password,
        "trunk": pbx.trunks[0], "context": "outgoing",
    });
    let asterisk: AsteriskSettings = serde_json::from_value(asterisk).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("mege.db").display());
    let store = json!({ "url": url, "connections": 2, "timeout_ms": 60_000, "limits": {} });
    let ledger = LedgerSettings {
        store: serde_json::from_value(store).unwrap(),
        journal: Journal::default(),
        keys: KeyRing::default(),
        audit: AuditLog::default(),
        audit_keep_days: 1,
        host: "test:3000".to_owned(),
    };
    let settings = AriSettings {
        name: "asterisk.test".to_owned(),
        live_calls: NodeCalls::default().join("asterisk.test", &asterisk),
        asterisk,
        journal: ledger.journal.clone(),
        ledger: ledger::spawn(ledger, Placement::Current),
        passing_instance: "p".to_owned(),
    };
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
