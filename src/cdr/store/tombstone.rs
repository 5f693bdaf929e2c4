//! What was erased, recognised without being kept.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use super::Batch;
use crate::database::StoreError;

/// Something that can have been erased. With a leg its recordings are erased too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Erasable {
    /// A leg by `cdr_id`.
    Leg(Uuid),
    /// A recording by `id_recording`.
    Recording(i64),
}

impl Erasable {
    /// Everything whose erasure would keep a row of this batch out.
    pub(super) fn of(batch: &Batch) -> Vec<Self> {
        let legs = batch.cdrs.iter().map(|cdr| Self::Leg(cdr.row.cdr_id));
        let recordings = batch.recordings.iter().flat_map(|recording| {
            [
                Self::Recording(recording.row.id_recording),
                Self::Leg(recording.row.cdr_id),
            ]
        });
        legs.chain(recordings).collect()
    }
}

/// The key of the hashes, made with the store: without it a tombstone names nobody.
pub(super) struct TombstoneKey(Hmac<Sha256>);

impl fmt::Debug for TombstoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TombstoneKey")
    }
}

impl TombstoneKey {
    pub(super) fn new(key: &[u8]) -> Result<Self, StoreError> {
        Hmac::new_from_slice(key)
            .map(Self)
            .map_err(|_| StoreError::Decode("the tombstones' key is no key".to_owned()))
    }

    /// The `key_hash` under which a tombstone of `pbx` keeps something out, in lower-case hexadecimal.
    pub(super) fn hash(&self, pbx: &str, what: Erasable) -> String {
        let mut mac = self.0.clone();
        // The name of a 3CX is the only part of free length, so it comes last.
        match what {
            Erasable::Leg(id) => mac.update(format!("leg {id} {pbx}").as_bytes()),
            Erasable::Recording(id) => mac.update(format!("recording {id} {pbx}").as_bytes()),
        }
        let hash = mac.finalize().into_bytes();
        hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
