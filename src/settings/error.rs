//! What can be wrong with a configuration.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, or the file or variable where there is no key to it.
    pub key: String,
    /// Where the value came from, such as `config/local.toml` or `APP_PORT in the environment`.
    pub origin: String,
    /// The value; none where it is a secret or might be one.
    pub value: Option<String>,
    /// What is wrong and what is allowed.
    pub complaint: String,
}

impl Problem {
    /// One of the settings as a whole, whichever source they are from.
    pub(super) fn new(key: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            origin: String::new(),
            value: None,
            complaint: complaint.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.origin.is_empty() {
            write!(f, " ({})", self.origin)?;
        }
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, ": {}", self.complaint)
    }
}

/// A configuration that cannot be used, with all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// What is wrong, one or more.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}
