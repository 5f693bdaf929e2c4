//! One real line: an originate through a real Asterisk, two real SIP legs, and what the ledger says of them.

use std::time::Duration;

use mege_gateway::actor::{AskError, Limits, Placement};
use mege_gateway::ari::{self, AriError, AriHandle, AriSettings, Originate};
use mege_gateway::ledger::{self, Call, CallId, CallState, GetCall, Journal, LedgerHandle, LedgerSettings};
use mege_gateway::settings::StoreSettings;
use mege_gateway::telephony::{Extension, HangupCause, PhoneNumber};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::asterisk::{Asterisk, CONTEXT, TRUNK, USER};
use crate::support::eventually;
use crate::support::sipp::Sipp;

const LIMIT: Duration = Duration::from_secs(15);

struct Line {
    ari: AriHandle,
    ledger: LedgerHandle,
    _folder: TempDir,
}

impl Line {
    async fn start(asterisk: &Asterisk, trunk: &str, password: &str) -> Line {
        let folder = tempfile::tempdir().unwrap();
        let store: StoreSettings = serde_json::from_value(json!({
            "url": format!("sqlite:{}", folder.path().join("mege.sqlite").display()),
            "connections": 2, "timeout_ms": 2000, "limits": {},
        }))
        .unwrap();
        let journal = Journal::default();
        let ledger = ledger::spawn(
            LedgerSettings {
                store,
                journal: journal.clone(),
                host: "test".to_owned(),
            },
            Placement::Dedicated,
        );
        let asterisk = serde_json::from_value(json!({
            "host": asterisk.host(), "port": asterisk.port(), "user": USER, "password": password,
            "trunk": trunk, "context": CONTEXT, "ring_timeout_s": 20,
        }))
        .unwrap();
        let ari = ari::spawn(
            AriSettings {
                name: "asterisk.main".to_owned(),
                asterisk,
                ledger: ledger.clone(),
                journal,
            },
            Placement::Dedicated,
        );
        Line {
            ari,
            ledger,
            _folder: folder,
        }
    }

    async fn call(&self, id: CallId) -> Call {
        self.ledger
            .ask(GetCall(id), Instant::now() + LIMIT)
            .await
            .unwrap()
            .unwrap()
    }
}

#[actix_rt::test]
async fn probe() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let line = Line::start(&asterisk, TRUNK, asterisk.password()).await;
    eventually("connected", LIMIT, async || {
        line.ari.health().report().detail["connection"]
            .as_str()
            .is_some_and(|s| s == "connected")
            .then_some(())
    })
    .await;
    println!(
        "{}",
        serde_json::to_string_pretty(&line.ari.health().report()).unwrap()
    );
    let id = line
        .ari
        .ask(
            Originate {
                extension: Extension::parse("102", None).unwrap(),
                number: PhoneNumber::parse("79990000009").unwrap(),
            },
            Instant::now() + LIMIT,
        )
        .await
        .unwrap()
        .call_id;
    sipp.wait_for_invites(2, LIMIT).await;
    eventually("ended", LIMIT, async || {
        (line.call(id).await.state == CallState::Ended).then_some(())
    })
    .await;
    println!("{:#?}", line.call(id).await);
}
