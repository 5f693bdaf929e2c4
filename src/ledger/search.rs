//! Looking for calls among those that are stored and those that are still on their way there.

use std::mem;

use jiff::Timestamp;

use super::store::LedgerStore;
use crate::actor::requests;
use crate::call::{Call, CallId, CallState, Journal, overlay};
use crate::database::StoreError;
use crate::telephony::{Extension, PhoneNumber};

requests! {
    SearchCalls: Read "search_calls" -> Vec<Call>, StoreError;
}

/// Request: calls that fit, newest first, of the gateways beside this one on the same ledger too.
#[derive(Debug, Clone, Default)]
pub struct SearchCalls {
    /// Only these integrations'; none: all.
    pub integrations: Option<Vec<String>>,
    /// Only those in such a state.
    pub state: Option<StateFilter>,
    /// Only those in which this extension takes part.
    pub extension: Option<Extension>,
    /// Only those with this external number, as it was dialled; a `+` at the beginning of either makes no difference.
    pub number: Option<PhoneNumber>,
    /// Only those with this id of the integrator's.
    pub external_id: Option<String>,
    /// Only those that were asked for since this moment, to the millisecond, as their ids tell.
    pub from: Option<Timestamp>,
    /// Only those that were asked for before this moment.
    pub until: Option<Timestamp>,
    /// Only those before this one: the last of the page before.
    pub before: Option<CallId>,
    /// How many at most; at least one.
    pub limit: usize,
}

/// States of calls that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    /// Any in which something more may become known of the call.
    Live,
    /// This one.
    In(CallState),
}

impl SearchCalls {
    /// The first id that fits.
    pub(super) fn first(&self) -> Option<CallId> {
        self.from.map(CallId::least_at)
    }

    /// The id after the last that fits.
    pub(super) fn end(&self) -> Option<CallId> {
        let until = self.until.map(CallId::least_at);
        self.before.into_iter().chain(until).min()
    }

    /// Whether a call of these integrations and this time fits, as it is now.
    fn is_about(&self, call: &Call) -> bool {
        let integrations = self.integrations.as_ref();
        self.first().is_none_or(|first| first <= call.id)
            && self.end().is_none_or(|end| call.id < end)
            && integrations.is_none_or(|all| all.contains(&call.integration))
    }

    /// Whether a call that it [is about](Self::is_about) fits in all else, too.
    fn fits(&self, call: &Call) -> bool {
        let digits = |number| PhoneNumber::digits_of(number);
        let number = self.number.as_ref().map(|number| digits(number.as_str()));
        let extension = self.extension.as_ref().map(Extension::as_str);
        let external_id = self.external_id.as_deref();
        let in_state = match self.state {
            None => true,
            Some(StateFilter::Live) => !call.closed,
            Some(StateFilter::In(state)) => call.state == state,
        };
        in_state
            && (number.is_none() || call.number.as_deref().map(digits) == number)
            && (extension.is_none() || call.extension.as_deref() == extension)
            && (external_id.is_none() || call.external_id.as_deref() == external_id)
    }
}

/// A page of the calls that fit. Each is there once and none is left out, also while it is being written.
pub(super) async fn search(
    store: &LedgerStore,
    journal: &Journal,
    mut search: SearchCalls,
) -> Result<Vec<Call>, StoreError> {
    // First: what is written meanwhile leaves the journal, and may come too late for what is read.
    let mut known = journal.known(|call| search.is_about(call));
    let mut found = Vec::new();
    loop {
        let stored = store.search(&search).await?;
        // Where there may be more. What is known of older calls goes over those.
        let next = stored.last().filter(|_| stored.len() == search.limit);
        let next = next.map(|call| call.id);
        let newer = match &next {
            Some(next) => known.split_off(next),
            None => mem::take(&mut known),
        };
        let newest = overlay(stored, newer).into_values().rev();
        found.extend(newest.filter(|call| search.fits(call)));
        if found.len() >= search.limit || next.is_none() {
            found.truncate(search.limit);
            return Ok(found);
        }
        search.before = next;
    }
}
