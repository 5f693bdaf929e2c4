//! What a caller may see. A route reaches a PBX, and what belongs to one, only with a [`Pbx`], and only these make one.

use jiff::Timestamp;

use super::caller::Caller;
use crate::http::error::{ApiError, ErrorCode};
use crate::ledger::key::{ApiKey, LinkKey};
use crate::recordings::{LinkSignature, RecordingId};

/// The name of a PBX that its caller may see; there need not be one of that name.
#[derive(derive_more::Display, Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Pbx<'a>(&'a str);

impl<'a> Pbx<'a> {
    /// The PBX of a recording to which a signed link leads.
    pub(in crate::http) fn of_link(
        link: &LinkSignature,
        key: &LinkKey,
        recording: &'a RecordingId,
    ) -> Result<Self, ApiError> {
        let verified = link.verify(key, recording, Timestamp::now());
        verified.map_err(|error| ApiError::from(error).refused())?;
        Ok(Self(&recording.pbx))
    }

    /// Its name in the settings.
    pub(in crate::http) fn name(self) -> &'a str {
        self.0
    }
}

impl Caller {
    /// The PBX of that name. `what` was asked for: of a PBX that the caller may not see, it is as if it were not there.
    pub(in crate::http) fn pbx<'a>(&self, name: &'a str, what: &str) -> Result<Pbx<'a>, ApiError> {
        self.pbx_if_visible(name)
            .ok_or_else(|| ApiError::not_found(what).refused())
    }

    /// The PBX of that name, if the caller may see it.
    pub(in crate::http) fn pbx_if_visible<'a>(&self, name: &'a str) -> Option<Pbx<'a>> {
        let visible = self.key().is_none_or(|key| key.may_see(name));
        visible.then_some(Pbx(name))
    }

    /// Whether it may see an actor: what belongs to a PBX is for those who may see that one, and what belongs to the gateway
    /// as a whole for those who see all.
    pub(in crate::http) fn may_see_integration(&self, name: &str) -> bool {
        match name.split_once('.') {
            Some((_, pbx)) => self.pbx_if_visible(pbx).is_some(),
            None => self.sees_all(),
        }
    }

    /// Whether it may see a key: one that sees no more than its own does.
    pub(in crate::http) fn may_see_key(&self, other: &ApiKey) -> bool {
        match self.key().and_then(|key| key.pbxs.as_ref()) {
            None => true,
            Some(own) => other.pbxs.as_ref().is_some_and(|pbxs| pbxs.is_subset(own)),
        }
    }

    /// Whether it sees every PBX, those of the future too.
    pub(in crate::http) fn sees_all(&self) -> bool {
        self.key().is_none_or(|key| key.pbxs.is_none())
    }

    /// The integrations whose calls it may see, also where only another gateway on the ledger has them; none: all.
    pub(in crate::http) fn call_integrations(&self) -> Option<Vec<String>> {
        let of = |pbx: &String| ["asterisk", "pac"].map(|kind| format!("{kind}.{pbx}"));
        let pbxs = self.key()?.pbxs.as_ref()?;
        Some(pbxs.iter().flat_map(of).collect())
    }

    /// For what concerns every PBX at once.
    pub(in crate::http) fn must_see_all(&self) -> Result<(), ApiError> {
        if self.sees_all() {
            return Ok(());
        }
        let words = "the key is limited to some PBXs, and this is about all of them";
        Err(ErrorCode::KeyLimited.error(words).refused())
    }
}
