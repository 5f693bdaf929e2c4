//! Faults that are planned.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use super::lock::locked;

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowOften {
    /// The next so many requests.
    Next(usize),
    /// All, until it is cleared.
    UntilCleared,
}

/// One planned fault for each kind of request.
#[derive(Debug)]
pub(super) struct Plan<O, F> {
    faults: Mutex<HashMap<O, (F, HowOften)>>,
}

impl<O, F> Default for Plan<O, F> {
    fn default() -> Self {
        Self {
            faults: Mutex::new(HashMap::new()),
        }
    }
}

impl<O: Eq + Hash, F: Clone> Plan<O, F> {
    pub(super) fn set(&self, operation: O, fault: F, often: HowOften) {
        locked(&self.faults).insert(operation, (fault, often));
    }

    pub(super) fn clear(&self) {
        locked(&self.faults).clear();
    }

    /// The fault that strikes this request, if any.
    pub(super) fn strike(&self, operation: O) -> Option<F> {
        let mut faults = locked(&self.faults);
        let (fault, often) = faults.get_mut(&operation)?;
        if let HowOften::Next(left) = often {
            *left = left.checked_sub(1)?;
        }
        Some(fault.clone())
    }
}
