//! Call ids that clients asked with and that were never handed out to them. A client needs one, of its original; one that makes
//! them up would cost a write each. So only so many are written, and the others are in memory.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::actor::ClientId;
use crate::cdr::cursor::Since;

/// How many ids of one client at one 3CX are in memory, those asked with last, and of how many clients.
const IDS: usize = 64;
const CLIENTS: usize = 1_000;

/// How many of a client's ids are written at once; then one a second.
const WRITES: NonZeroU32 = NonZeroU32::new(16).unwrap();
const WRITES_PER_S: NonZeroU32 = NonZeroU32::MIN;

/// What is in memory.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<HashMap<(String, ClientId), Ids>>);

#[derive(Debug)]
struct Ids {
    ids: VecDeque<(String, Since)>,
    writes: DefaultDirectRateLimiter,
}

impl Asked {
    /// Whether the id that a client was answered to is to be written. If not, it is kept, and stands for `since` from here on.
    pub(super) fn is_due(&self, pbx: &str, client: &ClientId, id: &str, since: Since) -> bool {
        let mut clients = self.clients();
        let key = (pbx.to_owned(), client.clone());
        if clients.len() >= CLIENTS && !clients.contains_key(&key) {
            let any = clients.keys().next().cloned();
            any.map(|any| clients.remove(&any));
        }
        let Ids { ids, writes } = clients.entry(key).or_insert_with(|| Ids {
            ids: VecDeque::new(),
            writes: RateLimiter::direct(Quota::per_second(WRITES_PER_S).allow_burst(WRITES)),
        });
        if writes.check().is_ok() {
            return true;
        }
        if ids.iter().all(|(known, _)| known != id) {
            ids.truncate(IDS - 1);
            ids.push_front((id.to_owned(), since));
        }
        false
    }

    /// What an id stands for that a client asked with before, where it was not written; and whether it is to be now.
    pub(super) fn again(&self, pbx: &str, client: &ClientId, id: &str) -> Option<(Since, bool)> {
        let mut clients = self.clients();
        let Ids { ids, writes } = clients.get_mut(&(pbx.to_owned(), client.clone()))?;
        let (_, since) = ids.iter().find(|(known, _)| known == id)?;
        Some((*since, writes.check().is_ok()))
    }

    /// It is written: it need not be here.
    pub(super) fn forget(&self, pbx: &str, client: &ClientId, id: &str) {
        if let Some(Ids { ids, .. }) = self.clients().get_mut(&(pbx.to_owned(), client.clone())) {
            ids.retain(|(known, _)| known != id);
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<(String, ClientId), Ids>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(seq: i64) -> Since {
        Since { seq, greater: 0 }
    }

    #[test]
    fn a_client_has_some_ids_written_and_the_others_keep_what_they_stood_for_first() {
        let asked = Asked::default();
        let client = ClientId::named("crm");
        let due = (0..100).filter(|n| asked.is_due("main", &client, &n.to_string(), since(*n)));
        // Some more, where a second passes meanwhile.
        let due = due.count();
        assert!((16..20).contains(&due), "{due}");
        asked.is_due("main", &client, "99", since(200));
        assert_eq!(
            asked.again("main", &client, "99").map(|(since, _)| since),
            Some(since(99))
        );
        assert_eq!(asked.again("main", &client, "0"), None, "it was written");
        asked.forget("main", &client, "99");
        assert_eq!(asked.again("main", &client, "99"), None);
        assert_eq!(asked.again("branch", &client, "99"), None);
    }

    #[test]
    fn neither_ids_nor_clients_are_without_end() {
        let asked = Asked::default();
        for number in 0..2 * CLIENTS {
            let id = number.to_string();
            asked.is_due("main", &ClientId::named(id.clone()), &id, since(1));
            asked.is_due("main", &ClientId::named("one"), &id, since(1));
        }
        let clients = asked.clients();
        assert_eq!(clients.len(), CLIENTS);
        assert!(clients.values().all(|of_client| of_client.ids.len() <= IDS));
    }
}
