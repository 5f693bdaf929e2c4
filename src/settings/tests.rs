//! The configuration from its sources, in folders of their own and with a made-up environment.

mod documentation;
mod links;
mod sections;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::actor::Limits;

const DEFAULTS: &str = include_str!("../../config/default.toml");

struct Place {
    directory: TempDir,
    sources: Sources,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let sources = Sources {
            directory: directory.path().to_owned(),
            ..Sources::default()
        };
        Self { directory, sources }
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn named_file(mut self, path: &str) -> Self {
        self.sources.file = Some(path.into());
        self
    }

    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        for (name, value) in variables {
            self.sources.environment.insert(name.into(), value.into());
        }
        self
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        Settings::load(&self.sources)
    }

    fn errors(&self) -> Vec<String> {
        let error = self.load().expect_err("these settings are wrong");
        error.problems.iter().map(ToString::to_string).collect()
    }
}

/// The documented file with its examples switched on.
fn with_examples() -> String {
    let is_setting = |text: &str| {
        text.starts_with('[')
            || text
                .split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let lines = DEFAULTS.lines().map(|line| match line.strip_prefix("# ") {
        Some(text) if is_setting(text) => text,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of all values in a document, with `*` for the name `main`.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let Some(fields) = value.as_object() else {
        found.insert(path.trim_start_matches('.').to_owned());
        return;
    };
    for (name, value) in fields {
        let name = if name == "main" { "*" } else { name };
        paths(value, &format!("{path}.{name}"), found);
    }
}

#[test]
fn without_any_source_the_documented_defaults_hold() {
    let settings = Place::new().load().unwrap();
    assert_eq!(settings.http.port, 3000);
    assert!(settings.http.address.is_loopback());
    assert_eq!(settings.http.base_path(), "");
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.store.url, StoreUrl::Sqlite("mege.sqlite".into()));
    assert_eq!(settings.store.limits, Limits::default());
    assert!(settings.default_asterisk().is_none());
    assert!(settings.default_pac().is_none());
}

#[test]
fn each_source_overrules_those_before_it() {
    let mut place = Place::new();
    let steps = [
        ("profile", 3001),
        ("file", 3002),
        (".env", 3003),
        ("environment", 3004),
        ("own key", 3005),
    ];
    for (step, port) in steps {
        let text = format!("[http]\nport = {port}\n");
        place = match step {
            "profile" => place.file("config/local.toml", &text),
            "file" => place.file("other.toml", &text).named_file("other.toml"),
            ".env" => place.file(".env", &format!("APP_PORT={port}\n")),
            "environment" => place.env(&[("APP_PORT", "3004")]),
            _ => place.env(&[("MEGE__HTTP__PORT", "3005")]),
        };
        assert_eq!(place.load().unwrap().http.port, port, "{step}");
    }
}

#[test]
fn a_profile_that_is_named_must_be_there() {
    let named = Place::new().env(&[("MEGE_PROFILE", "office")]);
    assert!(named.errors()[0].starts_with("config/office.toml: cannot be read"));
    let there = named.file("config/office.toml", "[http]\nport = 4000\n");
    assert_eq!(there.load().unwrap().http.port, 4000);
    let escaping = Place::new().env(&[("MEGE_PROFILE", "../office")]);
    assert!(escaping.errors()[0].starts_with("MEGE_PROFILE: must be letters"));
    let missing = Place::new().named_file("nowhere.toml");
    assert!(missing.errors()[0].starts_with("nowhere.toml: cannot be read"));
}

const ORIGINALS: [(&str, &str); 15] = [
    ("APP_PORT", "8080"),
    ("HTTP_OPTIONS", "http"),
    ("API_PREFIX", "api"),
    ("PAC_HOST", "pbx.example:50051"),
    ("PBX_EXTENSION_LENGTH", "3"),
    ("PBX_RECORDING_PATH", "https://pbx.example/recordings"),
    ("ASTERISK_ARI_HOST", "10.0.0.5"),
    ("ASTERISK_ARI_PORT", "8089"),
    ("ASTERISK_ARI_CALL_USER", "caller"),
    ("ASTERISK_ARI_CALL_PROVIDER_NAME", "ARI_CALL"),
    ("ASTERISK_ARI_CALL_PASSWORD", "s3cr3t"),
    ("ASTERISK_PBX3CX_TRUNK_ID", "3cx"),
    ("ASTERISK_PBX3CX_OUTGOING_CONTEXT", "outgoing"),
    ("ASTERISK_PBX3CX_OUTGOING_TIMEOUT", "45"),
    ("DATABASE_URL", "postgres://mege:s3cr3t@db/mege"),
];

fn check_originals(settings: &Settings) {
    use secrecy::ExposeSecret as _;
    assert_eq!(
        (settings.http.port, settings.http.base_path().as_str()),
        (8080, "/api")
    );
    let (name, pac) = settings.default_pac().unwrap();
    assert_eq!((name, pac.address.as_str()), ("main", "pbx.example:50051"));
    assert_eq!(pac.extension_length, Some(3));
    assert_eq!(
        pac.recording_path,
        RecordingPath::try_from("https://pbx.example/recordings".to_owned()).ok()
    );
    let (name, asterisk) = settings.default_asterisk().unwrap();
    assert_eq!(
        (name, asterisk.host.as_str(), asterisk.port),
        ("main", "10.0.0.5", 8089)
    );
    assert_eq!(
        (asterisk.user.as_str(), asterisk.app_prefix()),
        ("caller", "caller")
    );
    assert_eq!(asterisk.password.expose_secret(), "s3cr3t");
    assert_eq!(asterisk.trunk.to_string(), "3cx");
    assert_eq!(asterisk.context.to_string(), "outgoing");
    assert_eq!(asterisk.ring_timeout_s, 45);
    assert_eq!(
        settings.store.url,
        StoreUrl::Postgres("postgres://mege:s3cr3t@db/mege".to_owned())
    );
}

#[test]
fn the_originals_variables_work_from_the_environment_and_from_dot_env() {
    check_originals(&Place::new().env(&ORIGINALS).load().unwrap());
    let lines: Vec<String> = ORIGINALS
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    check_originals(&Place::new().file(".env", &lines.join("\n")).load().unwrap());
}

#[test]
fn a_password_in_dot_env_is_taken_as_it_is_written() {
    use secrecy::ExposeSecret as _;
    for (written, meant) in [
        ("pa$HOME#1", "pa$HOME#1"),
        ("'a $b #c \\d'", "a $b #c \\d"),
        ("\"a $b #c\"", "a $b #c"),
        ("${HOME}", "${HOME}"),
    ] {
        let lines: Vec<String> = ORIGINALS
            .iter()
            .map(|(name, value)| match *name {
                "ASTERISK_ARI_CALL_PASSWORD" => format!("{name}={written}"),
                _ => format!("{name}={value}"),
            })
            .collect();
        let settings = Place::new().file(".env", &lines.join("\n")).load().unwrap();
        let password = &settings.default_asterisk().unwrap().1.password;
        assert_eq!(password.expose_secret(), meant, "{written}");
    }
}

#[test]
fn an_empty_variable_of_the_originals_is_not_set() {
    let empty: Vec<(&str, &str)> = ORIGINALS.iter().map(|(name, _)| (*name, "")).collect();
    let settings = Place::new().env(&empty).load().unwrap();
    assert_eq!(settings.http.port, 3000);
    assert!(settings.asterisk.is_empty() && settings.pac.is_empty());
}

#[test]
fn every_key_has_a_variable_of_its_own() {
    let document: Value = toml::from_str(&with_examples()).unwrap();
    let mut documented = BTreeSet::new();
    paths(&document, "", &mut documented);
    let mut place = Place::new();
    for path in documented {
        let path = path.replace('*', "main");
        let value = path.split('.').fold(&document, |value, part| &value[part]);
        let text = match value.as_str() {
            Some(text) => text.to_owned(),
            None if path == "auth.trust" => "192.0.2.0/24=crm, 2001:db8::1=1c".to_owned(),
            None if value.is_array() => "https://crm.example, http://localhost:8080".to_owned(),
            None => value.to_string(),
        };
        let name = format!("MEGE__{}", path.to_uppercase().replace('.', "__"));
        place = place.env(&[(name.as_str(), text.as_str())]);
    }
    let settings = place.load().unwrap();
    assert_eq!(
        settings.http.allowed_origins,
        ["https://crm.example", "http://localhost:8080"]
    );
    let trusted: Vec<_> = settings
        .auth
        .trust
        .iter()
        .map(|entry| (entry.cidr.to_string(), entry.key.as_str()))
        .collect();
    let expected = [("192.0.2.0/24", "crm"), ("2001:db8::1/128", "1c")];
    assert_eq!(trusted, expected.map(|(cidr, key)| (cidr.to_owned(), key)));
    let from_file = Place::new()
        .file("config/local.toml", &with_examples())
        .load()
        .unwrap();
    assert_eq!(
        format!("{:?}", settings.asterisk),
        format!("{:?}", from_file.asterisk)
    );
    assert_eq!(format!("{:?}", settings.pac), format!("{:?}", from_file.pac));
}

#[test]
fn all_problems_are_named_at_once_with_key_origin_value_and_what_is_allowed() {
    let place = Place::new()
        .file(
            "config/local.toml",
            "[http]\nport = 70000\ncolour = \"red\"\n[log]\nformat = \"xml\"\n",
        )
        .env(&[
            ("ASTERISK_ARI_PORT", "abc"),
            ("MEGE__HTPP__PORT", "1"),
            ("HTTP_OPTIONS", "ftp"),
        ]);
    let errors = place.errors();
    let expected = [
        "asterisk.main.port (ASTERISK_ARI_PORT in the environment) = \"abc\": must be a whole number from 1 to 65535",
        "htpp.port (MEGE__HTPP__PORT in the environment): there is no such key",
        "http.colour (config/local.toml): there is no such key",
        "http.port (config/local.toml) = 70000: must be a whole number from 0 to 65535",
        "http.scheme (HTTP_OPTIONS in the environment) = \"ftp\": must be http or https",
        "log.format (config/local.toml) = \"xml\": must be text or json",
        "asterisk.main.host: is missing",
        "asterisk.main.user: is missing",
        "asterisk.main.password: is missing",
        "asterisk.main.trunk: is missing",
        "asterisk.main.context: is missing",
    ];
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}\ninstead of\n{expected}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[test]
fn no_secret_is_ever_shown() {
    let secret = "hunter2";
    let places = [
        Place::new().file(
            "config/local.toml",
            &format!("[asterisk.main]\npasword = \"{secret}\"\n"),
        ),
        Place::new().file(
            "config/local.toml",
            &format!("[asterisk.main]\npassword = [\"{secret}\"]\n"),
        ),
        Place::new().file(
            "config/local.toml",
            &format!("[asterisk.main]\npassword = \"{secret}\n"),
        ),
        Place::new().file(
            "config/local.toml",
            &format!("[pac.main.jwt]\nkey = {{ x = \"{secret}\" }}\n"),
        ),
        Place::new().file(
            "config/local.toml",
            &format!("[store]\nurl = \"postgress://me:{secret}@db/x\"\n"),
        ),
        Place::new().file(".env", &format!("ASTERISK_ARI_CALL_PASSWORD={secret} and more\n")),
        Place::new().env(&[("DATABASE_URL", "mysql://me:hunter2@db/x")]),
        Place::new().env(&[("MEGE__PAC__MAIN__JWT__KEY", "hunter2\u{7}")]),
    ];
    for place in places {
        let error = place.load().unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    let settings = Place::new().env(&ORIGINALS).load().unwrap();
    assert!(!format!("{settings:?}").contains("s3cr3t"));
}

#[test]
fn values_out_of_range_stop_the_start() {
    let bad = [
        ("HTTP__ADDRESS", "localhost"),
        ("AUTH__TRUST", "192.0.2.0/24"),
        ("AUTH__RATE__PER_KEY_PER_S", "0"),
        ("AUTH__RATE__PER_ADDRESS_PER_S", "1000001"),
        ("AUDIT__KEEP_DAYS", "0"),
        ("HTTP__PREFIX", "a b"),
        ("HTTP__PREFIX", "a//b"),
        ("HTTP__PREFIX", "{tail}*"),
        ("HTTP__PREFIX", "../x"),
        ("HTTP__ALLOWED_ORIGINS", "*"),
        ("HTTP__ALLOWED_ORIGINS", "https://a.example/path"),
        ("HTTP__TIMEOUT_MS", "0"),
        ("HTTP__TIMEOUT_MS", "600001"),
        ("LOG__FILTER", "mege=loud"),
        ("STORE__CONNECTIONS", "0"),
        ("ASTERISK__MAIN__HOST", "http://asterisk"),
        ("ASTERISK__MAIN__TRUNK", "a&b"),
        ("ASTERISK__MAIN__RING_TIMEOUT_S", "0"),
        ("ASTERISK__MAIN__RING_TIMEOUT_S", "-1"),
        ("ASTERISK__MAIN__MAX_LIVE_CALLS", "0"),
        ("ASTERISK__MAIN__MAX_LIVE_CALLS", "100001"),
        ("ASTERISK__MAIN__TRUNK_LIMITS__LIVE_CALLS", "0"),
        ("ASTERISK__MAIN__TRUNK_LIMITS__CALLS_PER_S", "0"),
        ("ASTERISK__MAIN__TRUNK_LIMITS__CALLS_PER_S", "1001"),
        ("ASTERISK__MAIN__LIMITS__IN_FLIGHT", "65"),
        ("ASTERISK__MAIN__LIMITS__IN_FLIGHT", "0"),
        ("PAC__MAIN__ADDRESS", "pbx.example"),
        ("PAC__MAIN__ADDRESS", "http://pbx.example:1"),
        ("HTTP__PUBLIC_URL", "mege.example"),
        ("HTTP__PUBLIC_URL", "https://mege.example?a=b"),
        ("HTTP__LINK_LIFETIME_S", "315360001"),
        ("PAC__MAIN__RECORDING_PATH", "recordings"),
        ("PAC__MAIN__EXTENSION_LENGTH", "11"),
        ("PAC__MAIN__COLLECTOR__PAGE_ROWS", "1001"),
        ("PAC__MAIN__COLLECTOR__OVERLAP_S", "0"),
    ];
    for (name, value) in bad {
        let name = format!("MEGE__{name}");
        let errors = Place::new().env(&[(name.as_str(), value)]).errors();
        let named = errors
            .iter()
            .any(|error| error.contains(&name) && error.contains(": must be "));
        assert!(named, "{name}={value}: {errors:?}");
    }
}

#[test]
fn https_needs_a_certificate_and_its_key() {
    assert_eq!(Place::new().load().unwrap().http.scheme, Scheme::Http);
    let https = Place::new().env(&[("HTTP_OPTIONS", "https")]);
    assert_eq!(
        https.errors(),
        ["http.tls_certificate", "http.tls_key"].map(|key| format!(
            "{key}: is missing: http.scheme = \"https\" needs it, the path of a PEM file"
        ))
    );
    let half = https.env(&[("MEGE__HTTP__TLS_CERTIFICATE", "tls.crt")]);
    assert!(half.errors()[0].starts_with("http.tls_key: is missing"));
    let whole = half.env(&[("MEGE__HTTP__TLS_KEY", "tls.key")]).load().unwrap();
    assert_eq!(whole.http.scheme, Scheme::Https);
}

#[test]
fn a_sweep_must_reach_as_far_as_the_longest_leg() {
    let text = "[pac.main]\naddress='a:1'\n[pac.main.collector]\nlongest_leg_h = 49\n";
    let errors = Place::new().file("config/local.toml", text).errors();
    assert!(errors[0].starts_with("pac.main.collector.sweep_horizon_h: is 48, must be at least"));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_a_problem() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut place = Place::new();
    place
        .sources
        .environment
        .insert("API_PREFIX".into(), std::ffi::OsString::from_vec(vec![0xff]));
    assert_eq!(place.errors(), ["API_PREFIX (the environment): must be UTF-8"]);
}
