//! What settings must say together.

use super::error::{Problem, SettingsError};
use super::{MAIN, RecordingPath, Scheme, Settings};

impl Settings {
    /// Checks what no key can say by itself.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let mut problems = Vec::new();
        let mut complain = |key: String, complaint: String| {
            problems.push(Problem {
                key,
                origin: String::new(),
                value: None,
                complaint,
            });
        };
        for (key, path) in [
            ("http.tls_certificate", &self.http.tls_certificate),
            ("http.tls_key", &self.http.tls_key),
        ] {
            if self.http.scheme == Scheme::Https && path.is_none() {
                let complaint = "is missing: http.scheme = \"https\" needs it, the path of a PEM file";
                complain(key.to_owned(), complaint.to_owned());
            }
        }
        let defaults = [
            ("asterisk", self.asterisk.len(), self.default_asterisk().is_some()),
            ("pac", self.pac.len(), self.default_pac().is_some()),
        ];
        for (section, count, has_default) in defaults {
            if count > 1 && !has_default {
                let complaint = format!("one of several must be named {MAIN}: the original's routes use it");
                complain(section.to_owned(), complaint);
            }
        }
        let http = &self.http;
        if http.address.is_unspecified() && http.public_url.is_none() {
            for (name, pac) in &self.pac {
                if let Some(RecordingPath::Directory(_)) = pac.recording_path {
                    complain(
                        "http.public_url".to_owned(),
                        format!(
                            "is missing: links to the recordings of pac.{name} need it, as http.address is {}",
                            http.address
                        ),
                    );
                }
            }
        }
        for (name, pac) in &self.pac {
            let collector = &pac.collector;
            if collector.sweep_horizon_h < collector.longest_leg_h {
                complain(
                    format!("pac.{name}.collector.sweep_horizon_h"),
                    format!(
                        "is {}, must be at least longest_leg_h, which is {}: nothing would find longer legs",
                        collector.sweep_horizon_h, collector.longest_leg_h
                    ),
                );
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(SettingsError { problems })
        }
    }
}
