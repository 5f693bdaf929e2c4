//! What settings must say together.

use super::error::{Problem, SettingsError};
use super::{MAIN, RecordingPath, Scheme, Settings};

/// Connections to one ARI: below Asterisk's `sessionlimit` of 100 by default, with room for a browser or a `curl`.
const MAX_SESSIONS: usize = 96;

impl Settings {
    /// Checks what no key can say by itself.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let mut problems = Vec::new();
        let mut complain = |key: String, complaint: String| problems.push(Problem::new(key, complaint));
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
        self.validate_nodes(&mut complain);
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

    /// What sections that lead to one node must say together: they share its calls and its sessions.
    fn validate_nodes(&self, complain: &mut impl FnMut(String, String)) {
        for (name, section) in &self.asterisk {
            let before = self
                .asterisk
                .iter()
                .take_while(|(other, _)| *other != name)
                .filter(|(_, other)| other.node() == section.node());
            let mut sessions = section.connections();
            for (other_name, other) in before {
                sessions += other.connections();
                if section.max_live_calls != other.max_live_calls {
                    complain(
                        format!("asterisk.{name}.max_live_calls"),
                        format!(
                            "is {}, must be as in asterisk.{other_name}, which is {}: they are one node",
                            section.max_live_calls, other.max_live_calls
                        ),
                    );
                }
                if section.app_prefix() == other.app_prefix() {
                    complain(
                        format!("asterisk.{name}.app_prefix"),
                        format!(
                            "must differ from that of asterisk.{other_name}: they are one node, and a Stasis application has \
                             one event socket"
                        ),
                    );
                }
                if section.trunk == other.trunk && section.trunk_limits != other.trunk_limits {
                    complain(
                        format!("asterisk.{name}.trunk_limits"),
                        format!("must be as in asterisk.{other_name}: they are one trunk"),
                    );
                }
            }
            if sessions > MAX_SESSIONS {
                complain(
                    format!("asterisk.{name}.limits.in_flight"),
                    format!(
                        "is too much: with the other sections of that host and port it makes {sessions} connections, of \
                         which {MAX_SESSIONS} leave room for others among those that Asterisk takes"
                    ),
                );
            }
        }
    }
}
