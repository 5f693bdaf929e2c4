//! A key that is revoked in one process stops working in every other. That it takes no longer than a second is shown beside
//! `src/ledger/actor.rs`, on a clock of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mege_gateway::ledger::key::CreatedKey;
use tokio::time::sleep;

use super::{CDR, make, status};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;
use crate::support::program::Program;

/// Of each request, whether the key was let in.
type Answers = Rc<RefCell<Vec<bool>>>;

/// Asks without a pause.
async fn keep_asking(app: &TestApp, key: &CreatedKey, answers: &Answers) {
    loop {
        let status = status(app, CDR, key).await;
        assert!([200, 401].contains(&status), "{status}");
        answers.borrow_mut().push(status == 200);
        sleep(Duration::from_millis(2)).await;
    }
}

async fn revoked_elsewhere(url: String) {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("DATABASE_URL", url.clone()));
    let app = TestApp::start(&variables).await;
    let url = [("DATABASE_URL", url)];

    // Made by another process, it works here soon, and closes what was open.
    eventually("it is open while there are no keys", LIMIT, async || {
        (super::get(&app, CDR, &[]).await.status == 200).then_some(())
    })
    .await;
    let made = Program::start(&["keys", "create", "--name", "crm", "--scope", "cdr:read"], &url)
        .ended()
        .await;
    assert_eq!(made.code, Some(0), "{}", made.said);
    eventually("nobody is let in without a key", LIMIT, async || {
        (super::get(&app, CDR, &[]).await.status == 401).then_some(())
    })
    .await;
    let headers = [("x-api-key", made.output.trim())];
    assert_eq!(super::get(&app, CDR, &headers).await.status, 200);

    let key = make(&app, "dialler", &["cdr:read"], None).await;
    let answers = Answers::default();
    let asking = keep_asking(&app, &key, &answers);
    let revoking = async {
        eventually("requests go on", LIMIT, async || {
            (answers.borrow().len() >= 20).then_some(())
        })
        .await;
        let ended = Program::start(&["keys", "revoke", "dialler"], &url).ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        eventually("the key is refused", LIMIT, async || {
            answers
                .borrow()
                .last()
                .is_some_and(|let_in| !let_in)
                .then_some(())
        })
        .await;
        // And it stays so.
        let refused = answers.borrow().len();
        eventually("more requests", LIMIT, async || {
            (answers.borrow().len() > refused + 20).then_some(())
        })
        .await;
    };
    tokio::select! {
        () = asking => unreachable!("it asks for ever"),
        () = revoking => {}
    }
    let answers = answers.take();
    let first_refused = answers.iter().position(|let_in| !let_in).expect("a refusal");
    assert!(answers[first_refused..].iter().all(|let_in| !let_in));
    app.stop().await;
}

#[actix_rt::test]
async fn sqlite_a_key_revoked_elsewhere_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    revoked_elsewhere(format!("sqlite:{}", folder.path().join("mege.sqlite").display())).await;
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn postgres_a_key_revoked_elsewhere_is_refused() {
    let database = crate::support::postgres::fresh_database().await;
    revoked_elsewhere(database.url.clone()).await;
}

#[actix_rt::test]
async fn what_was_read_is_served_while_the_ledger_is_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mege.sqlite");
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("DATABASE_URL", format!("sqlite:{}", file.display())));
    variables.push(("MEGE__STORE__TIMEOUT_MS", "100".to_owned()));
    let app = TestApp::start(&variables).await;
    let key = make(&app, "ops", &["status:read"], None).await;
    let ledger = rusqlite::Connection::open(folder.path().join("mege-ledger.sqlite")).expect("the ledger");
    ledger
        .execute_batch("ALTER TABLE ledger_key_generation RENAME TO gone")
        .expect("no table to look at");
    eventually("/status says how old the keys are", LIMIT, async || {
        let headers = [("x-api-key", key.secret.expose())];
        let reply = super::get(&app, "/status", &headers).await;
        assert_eq!(reply.status, 200);
        let keys = &reply.json()["keys"];
        (keys["stale_s"].as_u64() >= Some(2) && keys["live"] == 1).then_some(())
    })
    .await;
    ledger
        .execute_batch("ALTER TABLE gone RENAME TO ledger_key_generation")
        .expect("the table");
    eventually("they are looked at again", LIMIT, async || {
        let headers = [("x-api-key", key.secret.expose())];
        let reply = super::get(&app, "/status", &headers).await;
        reply.json()["keys"]["stale_s"].is_null().then_some(())
    })
    .await;
    app.stop().await;
}
