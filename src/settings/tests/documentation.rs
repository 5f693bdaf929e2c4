//! `config/default.toml` against the keys and the types: none can change alone.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::keys::{KEYS, matches};
use super::*;

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let document: Value = toml::from_str(&with_examples()).unwrap();
    let mut documented = BTreeSet::new();
    paths(&document, "", &mut documented);
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_key_has_its_comment_with_its_range() {
    let mut comment = String::new();
    let mut section = String::new();
    for line in with_examples().lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            comment.clear();
        } else if let Some((name, _)) = line.split_once(" = ") {
            let path = format!("{section}.{name}");
            let key = KEYS.iter().find(|key| matches(key.path, &path)).unwrap();
            assert!(!comment.is_empty(), "{path} has no comment");
            assert!(
                comment.contains("Default") || comment.contains("no default"),
                "{path} does not say its default: {comment}"
            );
            if let Some((from, to)) = key
                .allowed()
                .strip_prefix("a whole number from ")
                .and_then(|r| r.split_once(" to "))
            {
                assert!(
                    comment.contains(&format!("{from} to {to}")),
                    "{path} does not say {from} to {to}"
                );
            }
            comment.clear();
        }
    }
}

#[test]
fn the_documented_examples_are_the_defaults() {
    fn same<T: DeserializeOwned + std::fmt::Debug>(example: &Value, without_default: &[&str]) {
        let shown: T = serde_json::from_value(example.clone()).unwrap();
        let mut bare = example.clone();
        bare.as_object_mut()
            .unwrap()
            .retain(|key, _| without_default.contains(&key.as_str()));
        let defaults: T = serde_json::from_value(bare).unwrap();
        assert_eq!(format!("{shown:?}"), format!("{defaults:?}"));
    }
    let document: Value = toml::from_str(&with_examples()).unwrap();
    let asterisk = [
        "host",
        "user",
        "password",
        "app_prefix",
        "trunk",
        "context",
        "trunk_limits",
    ];
    same::<AsteriskSettings>(&document["asterisk"]["main"], &asterisk);
    let pac = ["address", "extension_length", "recording_path", "jwt"];
    same::<PacSettings>(&document["pac"]["main"], &pac);
    same::<JwtSettings>(&document["pac"]["main"]["jwt"], &["key", "client_id"]);
    same::<Limits>(&document["store"]["limits"], &[]);
    Place::new()
        .file("config/local.toml", &with_examples())
        .load()
        .expect("the examples are a configuration");
}

#[test]
fn the_types_have_exactly_the_keys() {
    /// serde names the fields it expected when it meets another.
    fn fields<T: DeserializeOwned + std::fmt::Debug>() -> BTreeSet<String> {
        let error = serde_json::from_value::<T>(json!({"?": 1}))
            .unwrap_err()
            .to_string();
        let expected = error.split_once("expected").unwrap().1.to_owned();
        expected
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }
    fn keys(section: &str) -> BTreeSet<String> {
        let below = |key: &str| {
            let rest = key.strip_prefix(section)?.strip_prefix('.')?;
            Some(rest.split('.').next()?.to_owned())
        };
        KEYS.iter().filter_map(|key| below(key.path)).collect()
    }
    assert_eq!(fields::<HttpSettings>(), keys("http"));
    assert_eq!(fields::<LogSettings>(), keys("log"));
    assert_eq!(fields::<AuthSettings>(), keys("auth"));
    assert_eq!(fields::<RateSettings>(), keys("auth.rate"));
    assert_eq!(fields::<AuditSettings>(), keys("audit"));
    assert_eq!(fields::<StoreSettings>(), keys("store"));
    assert_eq!(fields::<CdrSettings>(), keys("cdr"));
    assert_eq!(fields::<AsteriskSettings>(), keys("asterisk.*"));
    assert_eq!(fields::<TrunkLimits>(), keys("asterisk.*.trunk_limits"));
    assert_eq!(fields::<PacSettings>(), keys("pac.*"));
    assert_eq!(fields::<JwtSettings>(), keys("pac.*.jwt"));
    assert_eq!(fields::<CollectorSettings>(), keys("pac.*.collector"));
    for limits in ["store.limits", "asterisk.*.limits", "pac.*.limits"] {
        assert_eq!(fields::<Limits>(), keys(limits));
    }
}
