//! The two sides of a leg.

use crate::simulator::firm::{self, Team};

/// One side of a leg.
#[derive(Debug, Clone, Default)]
pub(in crate::simulator) struct Party {
    pub(super) entity: &'static str,
    pub(super) dn_type: &'static str,
    pub(super) dn: Option<String>,
    pub(super) dn_name: Option<String>,
    pub(super) name: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) did: Option<String>,
    pub(super) group: Option<String>,
    pub(super) incoming: bool,
}

impl Party {
    /// An external subscriber on a trunk: `incoming` when it called.
    pub(in crate::simulator) fn external_line(number: &str, incoming: bool) -> Self {
        Self {
            entity: "external_line",
            dn_type: "provider",
            dn: Some("10001".to_owned()),
            dn_name: Some("Основной транк".to_owned()),
            phone: Some(number.to_owned()),
            did: incoming.then(|| firm::NUMBER.to_owned()),
            incoming,
            ..Self::default()
        }
    }

    /// Gives the party a name, as a directory would.
    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// A subscriber of the PBX.
    pub(in crate::simulator) fn extension(number: &str) -> Self {
        let (last, first) = firm::name_of(number);
        let name = Some(format!("{last} {first}"));
        Self {
            entity: "extension",
            dn_type: "extension",
            dn: Some(number.to_owned()),
            dn_name: name.clone(),
            name,
            group: Some("__DEFAULT__".to_owned()),
            ..Self::default()
        }
    }

    /// The voicemail of a subscriber.
    pub(super) fn voicemail(extension: &str) -> Self {
        Self {
            entity: "voicemail",
            ..Self::extension(extension)
        }
    }

    /// What stands for the caller in a call that a program asked for.
    pub(in crate::simulator) fn make_call() -> Self {
        Self::service("ivr", "MakeCall")
    }

    /// What routes by the number that was called.
    pub(super) fn inbound_routing() -> Self {
        Self {
            phone: Some(firm::NUMBER.to_owned()),
            ..Self::service("inbound_routing", firm::NUMBER)
        }
    }

    /// The queue of a team.
    pub(super) fn queue(team: &Team) -> Self {
        Self::team("queue", team)
    }

    /// The ring group of a team.
    pub(super) fn ring_group(team: &Team) -> Self {
        Self::team("ring_group_ring_all", team)
    }

    fn team(entity: &'static str, team: &Team) -> Self {
        Self {
            dn_name: Some(team.name.to_owned()),
            group: Some(team.name.to_owned()),
            ..Self::service(entity, team.dn)
        }
    }

    /// A script, an IVR or a rule.
    pub(super) fn service(entity: &'static str, dn: &str) -> Self {
        let dn_type = if matches!(entity, "inbound_routing" | "outbound_rule") {
            "unknown"
        } else {
            entity
        };
        Self {
            entity,
            dn_type,
            dn: Some(dn.to_owned()),
            ..Self::default()
        }
    }
}
