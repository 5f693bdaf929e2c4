//! What is left of a refusal, and that no secret is left anywhere.

use awc::Client;
use awc::http::Method;
use mege_gateway::ledger::key::KeySecret;
use serde_json::Value;

use super::{CDR, KEYS, get, make, status};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;
use crate::support::program::Program;

#[actix_rt::test]
async fn refusals_are_in_the_audit_counted_by_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    let file = folder.path().join("mege.sqlite");
    variables.push(("DATABASE_URL", format!("sqlite:{}", file.display())));
    let app = TestApp::start(&variables).await;
    let crm = make(&app, "crm", &["cdr:read"], Some(&["branch"])).await;
    let unknown = KeySecret::generate().expect("random numbers");
    for _ in 0..50 {
        let reply = get(&app, CDR, &[("x-api-key", unknown.expose())]).await;
        assert_eq!(reply.status, 401);
    }
    assert_eq!(get(&app, KEYS, &[("x-request-id", "crm-42")]).await.status, 401);
    assert_eq!(status(&app, KEYS, &crm).await, 403);
    assert_eq!(status(&app, CDR, &crm).await, 404);
    let media = "/v1/recordings/main.1/media";
    assert_eq!(get(&app, media, &[]).await.status, 401);
    let forged = format!("{media}?signature=1.AAAA");
    assert_eq!(get(&app, &forged, &[]).await.status, 403);
    // What is nobody's fault is not there.
    assert_eq!(get(&app, "/nope", &[]).await.status, 404);
    assert_eq!(app.send(Method::PUT, "/livez", &[], "").await.status, 405);
    // A gateway that ends has written what it knows.
    app.stop().await;

    let ledger = rusqlite::Connection::open(folder.path().join("mege-ledger.sqlite")).expect("the ledger");
    let select = "SELECT who, origin, subject, code, sum(count), count(*), max(request_id), key_id FROM ledger_audit \
                  WHERE action = 'request_refused' GROUP BY who, origin, subject, code ORDER BY code, subject, who";
    type Row = (String, String, String, String, u64, u64, String, Option<String>);
    let rows: Vec<Row> = ledger
        .prepare(select)
        .expect("a statement")
        .query_map([], |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                number(4)?,
                number(5)?,
                row.get(6)?,
                row.get(7)?,
            ))
        })
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("rows");
    let here = "127.0.0.1";
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.0.as_str(),
                row.1.as_str(),
                row.2.as_str(),
                row.3.as_str(),
                row.4,
            )
        })
        .collect();
    let media = "/v1/recordings/{id}/media";
    assert_eq!(
        found,
        [
            ("nobody", here, media, "link_invalid", 1),
            ("crm", here, CDR, "not_found", 1),
            ("crm", here, KEYS, "scope_missing", 1),
            ("an unknown key", here, CDR, "unauthenticated", 50),
            ("nobody", here, KEYS, "unauthenticated", 1),
            ("nobody", here, media, "unauthenticated", 1),
        ]
    );
    assert!(
        rows.iter().all(|row| row.5 <= 2),
        "one row, or two around a write: {rows:?}"
    );
    assert_eq!(rows[4].6, "crm-42");
    assert_eq!(rows[1].7.as_deref(), Some(crm.key.id.to_string().as_str()));
}

#[actix_rt::test]
async fn a_secret_is_nowhere_but_with_its_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mege.sqlite");
    let url = ("DATABASE_URL", format!("sqlite:{}", file.display()));
    let create = [
        "keys",
        "create",
        "--name",
        "all",
        "--scope",
        "admin",
        "--scope",
        "status:read",
    ];
    let made = Program::start(&create, std::slice::from_ref(&url)).ended().await;
    let secret = made.output.trim().to_owned();
    let variables = [
        url,
        ("MEGE__LOG__FILTER", "trace".to_owned()),
        ("MEGE__AUTH__TRUST", "192.0.2.5=all".to_owned()),
    ];
    let mut program = Program::serve(&variables);
    let origin = program.origin().await;
    let client = Client::builder().timeout(LIMIT).finish();
    let ask = async |path: &str, name: &str, value: &str| {
        let request = client.get(format!("{origin}{path}")).insert_header((name, value));
        let mut reply = request.send().await.expect("a reply");
        let body = reply.body().limit(1 << 20).await.expect("a body");
        let body = String::from_utf8_lossy(&body).into_owned();
        let found = format!("{:?}\n{body}", reply.headers());
        (reply.status().as_u16(), found)
    };
    let bearer = format!("Bearer {secret}");
    let basic = format!("Basic {secret}");
    let longer = format!("{secret}A");
    let mut said = String::new();
    for (path, name, value, expected) in [
        ("/status", "authorization", bearer.as_str(), 200),
        ("/status", "x-api-key", secret.as_str(), 200),
        ("/metrics", "x-api-key", secret.as_str(), 200),
        ("/v1/keys", "x-api-key", secret.as_str(), 200),
        ("/pbx-api/last-call-id", "x-api-key", secret.as_str(), 403),
        ("/status", "authorization", basic.as_str(), 401),
        ("/status", "x-api-key", longer.as_str(), 401),
        ("/nope", "x-api-key", secret.as_str(), 404),
        ("/livez", "x-request-id", secret.as_str(), 200),
    ] {
        let (status, found) = ask(path, name, value).await;
        assert_eq!(status, expected, "{path} {name}: {found}");
        said.push_str(&found);
    }
    for path in [
        "/status",
        "/pbx-api/last-call-id",
        "/nope",
        "/v1/nope",
        "/livez/x",
        "/v1/audit",
    ] {
        let (status, found) = ask(&format!("{path}?key={secret}"), "x-api-key", &secret).await;
        assert!([401, 404].contains(&status), "{path}: {found}");
        said.push_str(&found);
    }
    // Once the refusals are written, the audit is looked at too.
    eventually("the audit has the refusals", LIMIT, async || {
        let (_, found) = ask("/v1/audit?limit=1000", "x-api-key", &secret).await;
        let body: Value = serde_json::from_str(found.lines().last()?).ok()?;
        let entries = body["entries"].as_array()?.iter();
        let refused = entries.filter(|entry| entry["action"] == "request_refused");
        said.push_str(&found);
        (refused.count() >= 3).then_some(())
    })
    .await;
    program.signal("TERM");
    said.push_str(&program.ended().await.said);
    for entry in std::fs::read_dir(folder.path()).expect("files") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("its bytes");
        said.push_str(&String::from_utf8_lossy(&bytes));
    }
    let random = &secret[5..];
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(random)).collect();
    assert!(lines.is_empty(), "{lines:?}");
}
