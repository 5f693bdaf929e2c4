//! The collecting part of a gateway, in this process.

use std::path::Path;

use mege_gateway::actor::{Class, Limits, Placement, Spawn};
use mege_gateway::cdr::collector::{self, CollectorHandle};
use mege_gateway::cdr::spawn_cdr;
use mege_gateway::pac;
use mege_gateway::settings::{PacSettings, StoreSettings};
use serde_json::json;

/// The 3CX's name in every test.
pub(crate) const PBX: &str = "office";

/// A gateway that collects.
pub(crate) struct Collecting {
    pub(crate) collector: CollectorHandle,
}

/// Starts it, each actor on a thread of its own.
pub(crate) fn collecting(pac_settings: PacSettings, store: StoreSettings) -> Collecting {
    let spawn = Spawn::new(
        "cdr".to_owned(),
        Placement::Dedicated,
        vec![
            (Class::Read, Limits::default()),
            (Class::Write, Limits::default()),
        ],
    );
    let cdr = spawn_cdr(spawn, store);
    let pac = pac::spawn(PBX, pac_settings.clone(), Placement::Dedicated).expect("an address");
    let collector = collector::spawn(PBX, pac_settings, pac, cdr, Placement::Dedicated);
    Collecting { collector }
}

/// The store in a file below `folder`.
pub(crate) fn sqlite_in(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("mege.sqlite").display())
}

/// A store's settings.
pub(crate) fn store_settings(url: &str) -> StoreSettings {
    serde_json::from_value(json!({ "url": url, "connections": 2, "timeout_ms": 5_000, "limits": {} }))
        .expect("settings of a store")
}
