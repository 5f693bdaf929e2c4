//! What `deploy/` and the documents say is true of the program: its settings, command line, ports, metrics and codes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use mege_gateway::cli::Cli;
use mege_gateway::http::ErrorCode;
use mege_gateway::metric::TABLE;
use mege_gateway::settings::{Settings, Sources};

const UNIT: &str = include_str!("../../deploy/mege-gateway.service");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const COMPOSE: &str = include_str!("../../deploy/compose.yaml");
const ENV: &str = include_str!("../../deploy/gateway.env");
const IGNORED: &str = include_str!("../../.dockerignore");
const MANIFEST: &str = include_str!("../../Cargo.toml");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The values of a key of the unit, in order.
fn unit(key: &str) -> Vec<&'static str> {
    let lines = UNIT.lines().filter_map(|line| line.split_once('='));
    let lines = lines.filter(|(name, _)| *name == key);
    lines.map(|(_, value)| value).collect()
}

/// The lines of a file of variables, those in comments too.
fn variables(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().map(|line| line.trim_start_matches('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        })
        .collect()
}

fn load(environment: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let sources = Sources {
        directory: folder.path().to_owned(),
        file: None,
        environment: environment.collect(),
    };
    Settings::load(&sources).map_err(|error| error.to_string())
}

/// Whether the settings have a variable of this name: none of them may hold a control character.
fn is_known(variable: &str) -> bool {
    let refused = load(&[(variable, "\u{7}")]).err();
    refused.is_some_and(|words| !words.contains("there is no such key"))
}

fn defaults() -> Settings {
    load(&[]).expect("the defaults")
}

/// Whether the program takes this command line.
fn is_command(line: &str) -> bool {
    Cli::try_parse_from(line.split_whitespace()).is_ok()
}

#[test]
fn the_sample_of_variables_is_a_configuration_and_each_of_them_is_known() {
    let sample = variables(ENV);
    assert!(sample.len() > 7, "{sample:?}");
    for name in sample.keys() {
        assert!(is_known(name), "{name}");
    }
    for unknown in ["ASTERISK_HOST", "MEGE__HTTP__HOST"] {
        assert!(!is_known(unknown), "any name would do");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(".env"), ENV).expect("a file");
    let sources = Sources {
        directory: folder.path().to_owned(),
        ..Sources::default()
    };
    let settings = Settings::load(&sources).expect("a configuration");
    assert!(settings.default_pac().is_some() && settings.default_asterisk().is_some());
}

#[test]
fn the_unit_starts_the_program_where_its_files_may_be() {
    let [start] = unit("ExecStart")[..] else {
        panic!("one ExecStart: {UNIT}");
    };
    let line = start.strip_prefix("/usr/local/bin/").expect("an absolute path");
    assert!(line.starts_with("mege-gateway ") && is_command(line), "{line}");
    let state = format!("/var/lib/{}", unit("StateDirectory")[0]);
    let store = variables(ENV)["DATABASE_URL"];
    assert!(
        store.starts_with(&format!("sqlite:{state}/")),
        "{store} is not in {state}"
    );
    assert_eq!(unit("Type"), ["notify"]);
    assert_eq!(unit("RestartPreventExitStatus"), ["2"]);
}

#[test]
fn a_stop_is_given_the_time_that_it_takes() {
    let stores = Duration::from_secs(5);
    let http = defaults().http;
    let takes = http.drain_time() + 2 * http.shutdown_timeout() + stores;
    assert!(takes <= Duration::from_secs(30), "{takes:?}");
    let unit: u64 = unit("TimeoutStopSec")[0].parse().expect("seconds");
    assert!(Duration::from_secs(unit) > takes, "{unit} s");
    assert!(COMPOSE.contains(&format!("stop_grace_period: {unit}s")));
}

#[test]
fn the_image_is_built_of_what_is_there_with_the_right_compiler() {
    let version = MANIFEST
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.expect("a version").trim_matches('"');
    assert!(
        DOCKERFILE.contains(&format!("FROM rust:{version}-slim")),
        "{version}"
    );
    let sent: BTreeSet<&str> = IGNORED
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let copies = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("COPY "));
    let mut copied = BTreeSet::new();
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        let mut words: Vec<&str> = copy.split_whitespace().collect();
        words.pop();
        copied.extend(words);
    }
    assert_eq!(copied, sent);
    for name in sent {
        assert!(root().join(name).exists(), "{name}");
    }
    // What the sources include from outside of src/ is copied too.
    assert!(copied.contains("config") && copied.contains("proto"));
}

#[test]
fn the_image_and_the_compose_file_start_the_program_on_its_port() {
    let port = defaults().http.port;
    assert!(DOCKERFILE.contains(&format!("\nEXPOSE {port}\n")));
    assert!(DOCKERFILE.contains(&format!("/dev/tcp/127.0.0.1/{port} ")));
    assert!(DOCKERFILE.contains("ENTRYPOINT [\"mege-gateway\"]\nCMD [\"serve\"]"));
    assert!(is_command("mege-gateway serve"));
    assert!(COMPOSE.contains(&format!("\"127.0.0.1:{port}:{port}\"")));
    let set = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("ENV "));
    for (name, _) in set.filter_map(|set| set.split_once('=')) {
        assert!(is_known(name), "{name}");
    }
    assert!(COMPOSE.contains("DATABASE_URL: postgres://"));
}

/// Each document for operators, by its path.
fn documents() -> Vec<(PathBuf, String)> {
    let folders = [root().join("docs"), root().join("docs/adr")];
    let mut documents = vec![root().join("README.md"), root().join("README.ru.md")];
    for folder in folders {
        let files = std::fs::read_dir(folder).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        documents.extend(paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a document");
        (path, text)
    };
    documents.into_iter().map(read).collect()
}

/// What stands between backticks, on one line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The command lines of a line of shell: of the program itself, as another user, or in a container.
fn commands(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split(['|', '>', ';', '&']).map(str::trim);
    let program = |part: &str| {
        let (before, rest) = part.split_once(' ').unwrap_or((part, ""));
        let (before, rest) = match before {
            "runuser" => part.split_once(" -- ")?.1.split_once(' ')?,
            _ => (before, rest),
        };
        let name = before.rsplit('/').next()?;
        matches!(name, "mege-gateway" | "mege-gateway.next").then(|| rest.to_owned())
    };
    let container = |part: &str| Some(part.split_once("run --rm gateway ")?.1.to_owned());
    parts
        .filter_map(|part| program(part).or_else(|| container(part)))
        .collect()
}

#[test]
fn every_command_in_the_documents_is_one() {
    let mut seen = BTreeSet::new();
    for (path, text) in documents() {
        // A line may go on in the next.
        let text = text.replace("\\\n", " ");
        let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        for command in blocks.flat_map(commands) {
            assert!(
                is_command(&format!("mege-gateway {command}")),
                "{}: {command}",
                path.display()
            );
            seen.extend(command.split_whitespace().next().map(str::to_owned));
        }
    }
    for command in [
        "backfill",
        "check",
        "integrations",
        "keys",
        "load",
        "migrate",
        "serve",
    ] {
        assert!(seen.contains(command), "{command} is in no document: {seen:?}");
    }
}

#[test]
fn every_code_that_is_sent_is_there_to_look_for_and_no_other() {
    let text = include_str!("../../docs/troubleshoot.md");
    for code in ErrorCode::ALL {
        assert!(text.contains(&format!("`{}`", code.as_str())), "{code:?}");
    }
    let tables = text
        .split("\n| code |")
        .skip(1)
        .filter_map(|rest| rest.split("\n\n").next());
    let mut seen = 0;
    for row in tables.flat_map(|table| table.lines().skip(2)) {
        for code in quoted(row.split(" | ").next().unwrap_or_default()) {
            assert!(
                ErrorCode::ALL.iter().any(|known| known.as_str() == code),
                "{code}"
            );
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn every_variable_and_metric_in_the_documents_exists() {
    let mut seen = 0;
    for (path, text) in documents() {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words {
            let variable = word.starts_with("MEGE__") && !word.contains("SECTION");
            if variable {
                assert!(is_known(word), "{}: {word}", path.display());
            }
            // The crate is no metric, nor is what a key begins with.
            if word.starts_with("mege_") && !["mege_gateway", "mege_"].contains(&word) {
                let known = TABLE.iter().any(|metric| metric.name == word);
                assert!(known, "{}: {word}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn what_is_shipped_is_built_without_what_only_tests_need() {
    assert!(MANIFEST.contains("\ntest-support = []\n") && !MANIFEST.contains("\ndefault = "));
    let mut builds = 0;
    for (path, text) in documents()
        .into_iter()
        .chain([("Dockerfile".into(), DOCKERFILE.to_owned())])
    {
        for line in text.lines().filter(|line| line.contains("cargo build")) {
            assert!(!line.contains("features"), "{}: {line}", path.display());
            builds += 1;
        }
    }
    assert!(builds > 2, "{builds}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let folder = path.parent().expect("a folder");
            assert!(folder.join(file).exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn every_key_in_the_documents_for_operators_exists() {
    let template = include_str!("../../config/default.toml");
    let sections = [
        "auth.",
        "cdr.",
        "http.",
        "log.",
        "store.",
        "audit.",
        "asterisk.",
        "pac.",
    ];
    let integrations = ["asterisk.", "pac."];
    for (path, text) in documents() {
        for word in quoted(&text) {
            let is_key = !word.ends_with(".conf")
                && sections.iter().any(|section| word.starts_with(section))
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_'))
                && !(integrations.iter().any(|kind| word.starts_with(kind)) && word.split('.').count() < 3);
            if !is_key {
                continue;
            }
            let name = word.rsplit('.').next().unwrap_or_default();
            let documented = template.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{name} = "))
                    || line.ends_with(&format!(".{name}]"))
                    || line == format!("[{name}]")
            });
            assert!(documented, "{}: {word}", path.display());
        }
    }
}
