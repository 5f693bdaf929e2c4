//! `mege-gateway keys`, and what a gateway says to whom it cannot let in.

use tempfile::TempDir;

use crate::support::program::{Ended, Program};

/// A ledger, and the commands on it.
struct Ledger {
    folder: TempDir,
}

impl Ledger {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    fn variables(&self, others: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let file = self.folder.path().join("mege.sqlite");
        let mut variables = vec![
            ("DATABASE_URL", format!("sqlite:{}", file.display())),
            ("PAC_HOST", "127.0.0.1:9".to_owned()),
        ];
        variables.extend(others.iter().map(|(name, value)| (*name, (*value).to_owned())));
        variables
    }

    async fn run(&self, line: &str, others: &[(&'static str, &str)]) -> Ended {
        let arguments: Vec<&str> = line.split(' ').collect();
        Program::start(&arguments, &self.variables(others)).ended().await
    }

    async fn keys(&self, line: &str) -> Ended {
        self.run(&format!("keys {line}"), &[]).await
    }
}

#[actix_rt::test]
async fn keys_are_made_listed_and_revoked_without_a_gateway() {
    let ledger = Ledger::new();
    let made = ledger
        .keys("create --name crm --scope calls:write --scope cdr:read --pbx main")
        .await;
    assert_eq!(made.code, Some(0), "{}", made.said);
    // The output is the key alone, for a script to take.
    let secret = made.output.trim_end();
    assert!(
        secret.starts_with("mege_") && secret.len() == 48,
        "{}",
        made.output
    );
    assert_eq!(made.output, format!("{secret}\n"));
    assert!(made.errors.contains("key crm (") && !made.errors.contains(secret));

    let again = ledger.keys("create --name crm --scope admin").await;
    assert_eq!(again.code, Some(1), "{}", again.said);
    assert!(
        again.said.contains("a key of that name already"),
        "{}",
        again.said
    );

    let list = ledger.keys("list").await.output;
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(
        list.contains("  crm  calls:write,cdr:read  main  made ") && list.contains("  live\n"),
        "{list}"
    );
    assert!(!list.contains(&secret[5..]), "{list}");

    let id = list.split(' ').next().expect("an id").to_owned();
    for words in ["is revoked", "was revoked before"] {
        let revoked = ledger.keys(&format!("revoke {id}")).await;
        assert_eq!(revoked.code, Some(0), "{}", revoked.said);
        assert!(revoked.said.contains(words), "{}", revoked.said);
    }
    assert!(ledger.keys("list").await.output.contains("  revoked "));
    let unknown = ledger.keys("revoke 1c").await;
    assert_eq!(unknown.code, Some(1), "{}", unknown.said);
    assert!(unknown.said.contains("there is no such key"), "{}", unknown.said);
    assert_eq!(ledger.keys("rotate-links").await.code, Some(0));

    let audit = ledger.keys("audit --last 2").await.output;
    let lines: Vec<&str> = audit.lines().collect();
    assert_eq!(lines.len(), 2, "{audit}");
    assert!(
        lines[0].contains("links_rotated") && lines[1].contains("key_revoked  crm ("),
        "{audit}"
    );
    assert!(audit.contains("by command line ("), "{audit}");
}

#[actix_rt::test]
async fn a_key_that_cannot_be_is_refused_with_what_is_allowed() {
    let ledger = Ledger::new();
    for (line, words) in [
        (
            "create --name crm --scope cdr:write",
            "calls:write, calls:read, cdr:read, recordings:read, status:read, admin",
        ),
        (
            "create --name crm --scope admin --pbx branch",
            "those configured (main)",
        ),
        (
            "create --name a,b --scope admin",
            "letters, digits, dots, dashes or underscores",
        ),
        ("create --name crm", "--scope"),
        ("audit --last 1001", "1001"),
    ] {
        let refused = ledger.keys(line).await;
        assert_eq!(refused.code, Some(2), "{line}: {}", refused.said);
        assert!(refused.said.contains(words), "{line}: {}", refused.said);
    }
    assert_eq!(ledger.keys("list").await.output, "");
    let nowhere = ledger
        .run(
            "keys list",
            &[("DATABASE_URL", "sqlite:/nowhere/at/all/mege.sqlite")],
        )
        .await;
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.said);
    assert!(
        nowhere.said.contains("the ledger cannot be used"),
        "{}",
        nowhere.said
    );
}

#[actix_rt::test]
async fn beyond_loopback_it_starts_only_if_somebody_can_be_let_in() {
    let everywhere = ("MEGE__HTTP__ADDRESS", "0.0.0.0");
    let trust = ("MEGE__AUTH__TRUST", "192.0.2.5=crm");
    let ledger = Ledger::new();
    let refused = ledger.run("serve", &[everywhere, ("APP_PORT", "0")]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.said);
    for words in ["0.0.0.0", "mege-gateway keys create", "auth.trust", "127.0.0.1"] {
        assert!(refused.said.contains(words), "{words}: {}", refused.said);
    }
    let checked = ledger.run("check", &[everywhere]).await;
    assert!(checked.line("keys: ").contains("make a key"), "{}", checked.said);

    // Trust is enough to start, but has to name a key.
    Program::serve(&ledger.variables(&[everywhere, trust]))
        .origin()
        .await;
    let checked = ledger.run("check", &[everywhere, trust]).await;
    assert_eq!(
        checked.line("keys: "),
        "keys: failed: auth.trust names crm, and there is no such key"
    );

    assert_eq!(ledger.keys("create --name crm --scope admin").await.code, Some(0));
    Program::serve(&ledger.variables(&[everywhere])).origin().await;
    let checked = ledger.run("check", &[everywhere, trust]).await;
    assert_eq!(checked.line("keys: "), "keys: ok (1 key)");

    // Without its last key it is as closed as can be.
    assert_eq!(ledger.keys("revoke crm").await.code, Some(0));
    let checked = ledger.run("check", &[]).await;
    assert!(
        checked.line("keys: ").contains("every key was revoked"),
        "{}",
        checked.said
    );
    let refused = ledger.run("serve", &[everywhere, ("APP_PORT", "0")]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.said);
}
