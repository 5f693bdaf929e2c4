//! Where settings come from: files and variables, each turned into keys with their origin.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::Problem;

/// Where to look for settings.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Where `config/` and `.env` are looked for.
    pub directory: PathBuf,
    /// The file named on the command line.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<OsString, OsString>,
}

impl Sources {
    /// The process's own: its working directory and environment.
    ///
    /// # Errors
    /// When the working directory is gone or closed to us.
    pub fn of_process(file: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            directory: std::env::current_dir()?,
            file,
            environment: std::env::vars_os().collect(),
        })
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: String,
}

/// Values by key, later ones over earlier ones, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) problems: Vec<Problem>,
}

/// The original's variables and the keys they stand for.
const ALIASES: [(&str, &str); 14] = [
    ("APP_PORT", "http.port"),
    ("HTTP_OPTIONS", "http.scheme"),
    ("API_PREFIX", "http.prefix"),
    ("PAC_HOST", "pac.main.address"),
    ("PBX_EXTENSION_LENGTH", "pac.main.extension_length"),
    ("PBX_RECORDING_PATH", "pac.main.recording_path"),
    ("ASTERISK_ARI_HOST", "asterisk.main.host"),
    ("ASTERISK_ARI_PORT", "asterisk.main.port"),
    ("ASTERISK_ARI_CALL_USER", "asterisk.main.user"),
    ("ASTERISK_ARI_CALL_PASSWORD", "asterisk.main.password"),
    ("ASTERISK_PBX3CX_TRUNK_ID", "asterisk.main.trunk"),
    ("ASTERISK_PBX3CX_OUTGOING_CONTEXT", "asterisk.main.context"),
    ("ASTERISK_PBX3CX_OUTGOING_TIMEOUT", "asterisk.main.ring_timeout_s"),
    ("DATABASE_URL", "store.url"),
];

/// Variables of the original that set nothing here, the only value they may have, and what to say about any other.
const FIXED: [(&str, &str, &str); 1] = [(
    "ASTERISK_ARI_CALL_PROVIDER_NAME",
    "ARI_CALL",
    "must be ARI_CALL, the one name that worked with the original; here an integration is named by its section",
)];

/// What the name of a variable for a key begins with.
const OWN_PREFIX: &str = "MEGE__";

impl Layers {
    pub(super) fn complain(&mut self, key: &str, origin: &str, complaint: String) {
        let origin = origin.to_owned();
        self.problems.push(Problem {
            origin,
            ..Problem::new(key, complaint)
        });
    }

    /// Adds a file; one that is not there is a problem only where it was asked for.
    pub(super) fn add_file(&mut self, path: &Path, origin: &str, asked_for: bool) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_toml(&text, origin),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !asked_for => {}
            Err(error) => self.complain(origin, "", format!("cannot be read: {error}")),
        }
    }

    /// Adds the keys of a TOML document.
    pub(super) fn add_toml(&mut self, text: &str, origin: &str) {
        match toml::from_str::<Value>(text) {
            Ok(document) => self.add_value("", document, origin),
            Err(error) => {
                // The error's own text quotes the line, which may hold a password.
                let line = error
                    .span()
                    .map_or(0, |span| text[..span.start].matches('\n').count())
                    + 1;
                let words = error.message().lines().next().unwrap_or_default();
                self.complain(origin, "", format!("is not TOML: {words} in line {line}"));
            }
        }
    }

    fn add_value(&mut self, path: &str, value: Value, origin: &str) {
        if let Value::Object(fields) = &value
            && (path.is_empty() || !fields.is_empty())
        {
            let dot = if path.is_empty() { "" } else { "." };
            for (name, value) in fields {
                self.add_value(&format!("{path}{dot}{name}"), value.clone(), origin);
            }
            return;
        }
        let origin = origin.to_owned();
        self.entries.insert(path.to_owned(), Entry { value, origin });
    }

    /// Adds variables: the original's, and over them those of our own keys. An empty one of the original's is none.
    pub(super) fn add_variables(&mut self, variables: &BTreeMap<OsString, OsString>, place: &str) {
        for (name, key) in ALIASES {
            if let Some(value) = self
                .variable(variables, name, place)
                .filter(|value| !value.is_empty())
            {
                self.add_value(key, value.into(), &format!("{name} in {place}"));
            }
        }
        for (name, only, complaint) in FIXED {
            let value = self.variable(variables, name, place);
            if let Some(value) = value.filter(|value| !value.is_empty() && value != only) {
                self.problems.push(Problem {
                    key: name.to_owned(),
                    origin: place.to_owned(),
                    value: Some(format!("{value:?}")),
                    complaint: complaint.to_owned(),
                });
            }
        }
        for name in variables.keys().filter_map(|name| name.to_str()) {
            let Some(path) = name.strip_prefix(OWN_PREFIX) else {
                continue;
            };
            if let Some(value) = self.variable(variables, name, place) {
                let key = path.to_ascii_lowercase().replace("__", ".");
                self.add_value(&key, value.into(), &format!("{name} in {place}"));
            }
        }
    }

    fn variable(
        &mut self,
        variables: &BTreeMap<OsString, OsString>,
        name: &str,
        place: &str,
    ) -> Option<String> {
        let value = variables.get(&OsString::from(name))?;
        let text = value.to_str().map(str::to_owned);
        if text.is_none() {
            self.complain(name, place, "must be UTF-8".to_owned());
        }
        text
    }

    /// Reads a `.env` file without touching the process's environment; one that is not there has no variables.
    pub(super) fn dot_env(&mut self, path: &Path) -> BTreeMap<OsString, OsString> {
        let mut variables = BTreeMap::new();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => without_substitution(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return variables,
            Err(error) => {
                self.complain(".env", "", format!("cannot be read: {error}"));
                return variables;
            }
        };
        let lines = dotenvy::from_read_iter(text.as_bytes());
        for line in lines {
            match line {
                Ok((name, value)) => {
                    variables.insert(name.into(), value.into());
                }
                // The line may hold a password: only its name is shown.
                Err(dotenvy::Error::LineParse(line, _)) => {
                    let name = line.split_once('=').map_or("", |(name, _)| name.trim());
                    let complaint =
                        "cannot be read: put a value that holds spaces or backslashes in single quotes";
                    self.complain(name, ".env", complaint.to_owned());
                }
                Err(error) => {
                    self.complain(".env", "", format!("cannot be read: {error}"));
                    break;
                }
            }
        }
        variables
    }
}

/// A `.env` file in which `$` means itself, as it did to the original: a password must not change on its way.
fn without_substitution(text: &str) -> String {
    let plain = |line: &str| {
        let value = line.split_once('=').map_or(line, |(_, value)| value);
        if value.trim_start().starts_with('\'') {
            line.to_owned()
        } else {
            line.replace("\\$", "$").replace('$', "\\$")
        }
    };
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}
