//! From the sources to settings that can be trusted.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Settings;
use super::error::{Problem, SettingsError};
use super::keys::{KEYS, Key, matches};
use super::sources::{Entry, Layers, Sources};

/// The documented defaults.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The variable that names the profile, and the profile when it is not set.
const PROFILE: &str = "MEGE_PROFILE";
const DEFAULT_PROFILE: &str = "local";

impl Settings {
    /// Reads the configuration: the defaults, `config/<profile>.toml`, the named file, `.env`, the environment; each
    /// over those before it.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once: unknown keys, values that are not allowed, keys that are missing.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let mut layers = Layers::default();
        layers.add_toml(DEFAULTS, "the built-in defaults");
        let dot_env = layers.dot_env(&sources.directory.join(".env"));

        let named = [&sources.environment, &dot_env]
            .into_iter()
            .filter_map(|variables| variables.get(std::ffi::OsStr::new(PROFILE))?.to_str())
            .find(|profile| !profile.is_empty());
        let profile = named.unwrap_or(DEFAULT_PROFILE);
        if is_profile(profile) {
            let origin = format!("config/{profile}.toml");
            layers.add_file(&sources.directory.join(&origin), &origin, named.is_some());
        } else {
            let complaint = "must be letters, digits, dashes and underscores: the name of a file in config/";
            layers.complain(PROFILE, "", complaint.to_owned());
        }
        if let Some(file) = &sources.file {
            let path = sources.directory.join(file);
            layers.add_file(&path, &file.display().to_string(), true);
        }
        layers.add_variables(&dot_env, ".env");
        layers.add_variables(&sources.environment, "the environment");
        layers.finish()
    }
}

fn is_profile(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl Layers {
    /// Checks each key by itself, then what they say together.
    fn finish(mut self) -> Result<Settings, SettingsError> {
        let mut tree = Map::new();
        for (path, entry) in &self.entries {
            match accept(path, entry) {
                Ok(Some(value)) => put(&mut tree, path, value),
                Ok(None) => {}
                Err(problem) => self.problems.push(problem),
            }
        }
        self.find_missing();
        if !self.problems.is_empty() {
            return Err(SettingsError {
                problems: self.problems,
            });
        }
        let settings: Settings =
            serde_json::from_value(Value::Object(tree)).map_err(|error| SettingsError {
                problems: vec![Problem::new("configuration", error.to_string())],
            })?;
        settings.validate()?;
        Ok(settings)
    }

    fn find_missing(&mut self) {
        let mut missing = Vec::new();
        for key in KEYS.iter().filter(|key| key.required) {
            let Some((section, name)) = key.path.rsplit_once('.') else {
                continue;
            };
            let depth = section.split('.').count();
            let sections: BTreeSet<String> = self
                .entries
                .keys()
                .map(|path| path.split('.').take(depth).collect::<Vec<_>>().join("."))
                .filter(|path| matches(section, path))
                .collect();
            for section in sections {
                let path = format!("{section}.{name}");
                if !self.entries.contains_key(&path) {
                    let complaint = format!("is missing: {section} needs it, {}", key.allowed());
                    missing.push(Problem::new(path, complaint));
                }
            }
        }
        self.problems.append(&mut missing);
    }
}

/// A key's value in its own type; none for a section without keys.
fn accept(path: &str, entry: &Entry) -> Result<Option<Value>, Problem> {
    let problem = |value: Option<String>, complaint: String| Problem {
        key: path.to_owned(),
        origin: entry.origin.clone(),
        value,
        complaint,
    };
    let Some(key) = Key::find(path) else {
        let empty = entry.value.as_object().is_some_and(Map::is_empty);
        return if empty && Key::is_section(path) {
            Ok(None)
        } else {
            // The value is not shown: it may be a password under a misspelt name.
            Err(problem(None, "there is no such key".to_owned()))
        };
    };
    key.accept(&entry.value).map(Some).ok_or_else(|| {
        let shown = (!key.secret).then(|| entry.value.to_string());
        problem(shown, format!("must be {}", key.allowed()))
    })
}

fn put(tree: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let below = tree.entry(head).or_insert_with(|| Value::Object(Map::new()));
            // Never anything else: a key that is another's section is unknown and was refused.
            if let Value::Object(below) = below {
                put(below, rest, value);
            }
        }
    }
}
