//! What clients were handed out, and what was stored since.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{CdrStore, ahead, comparable, limit, sql};
use crate::actor::ClientId;
use crate::cdr::cursor::{
    FORGET_AT_ONCE, FORGET_EVERY, HandedOut, REMEMBERED_DAYS, REMEMBERED_IDS, REMEMBERED_IN_ALL, Resumed,
    Since,
};
use crate::database::{Session, StoreError, params};

const DAY: SignedDuration = SignedDuration::from_hours(24);

impl CdrStore {
    /// What to answer a client that polls `pbx` with a call id: see the old cursor. A reply has at most
    /// `late` legs whose `call_history_id`, as text, is not greater.
    pub async fn resume(
        &self,
        pbx: &str,
        client: &ClientId,
        call_id: &str,
        late: usize,
    ) -> Result<Resumed, StoreError> {
        let call_id = comparable(call_id);
        let again = self.asked.again(pbx, client, call_id);
        if let Some((since, true)) = again {
            let values = params![
                pbx,
                client.as_str(),
                call_id,
                since.seq,
                since.greater,
                Timestamp::now()
            ];
            self.database.execute(sql::REMEMBER, values).await?;
            self.asked.forget(pbx, client, call_id);
        }
        let (pbx, call_id) = (pbx.to_owned(), call_id.to_owned());
        let client = client.as_str().to_owned();
        let read = async move |session: &Session<'_>| {
            let values = params![pbx.as_str(), client, call_id.as_str()];
            let (head, seq, greater) = session.query_one(sql::RESUME, values).await?;
            let (seq, greater): (Option<i64>, Option<i64>) = (seq, greater);
            let stored = seq.zip(greater).map(|(seq, greater)| Since { seq, greater });
            let ahead = ahead::bound(session, &pbx, Uuid::try_parse(&call_id).ok()).await?;
            let Some(since) = stored.or(again.map(|(since, _)| since)) else {
                return Ok(Resumed {
                    since: None,
                    until: head,
                    next: ahead.map(|_| head),
                });
            };
            let Since { seq, greater } = since;
            let values = params![pbx, seq, head, call_id, limit(late.saturating_sub(1))];
            let last = session.query_opt(sql::LATE_UNTIL, values).await?;
            Ok(Resumed {
                since: Some(Since {
                    seq,
                    greater: greater.min(seq),
                }),
                until: last.unwrap_or(head),
                next: ahead.map(|_| seq.max(greater)),
            })
        };
        self.database.read(read).await
    }

    /// Has an id from the future stand for `next`; the reply after that begins where this one ends, at `until`.
    pub async fn advance(
        &self,
        pbx: &str,
        client: &ClientId,
        call_id: &str,
        next: i64,
        until: i64,
    ) -> Result<(), StoreError> {
        let id = comparable(call_id);
        let values = params![pbx, client.as_str(), id, next, until, Timestamp::now()];
        self.database.execute(sql::ADVANCE, values).await.map(drop)
    }

    /// Remembers what a reply hands out, durably once this returns, but for ids that a client made up. Nothing is written that is
    /// known already.
    pub async fn hand_out(
        &self,
        pbx: &str,
        client: &ClientId,
        handed_out: HandedOut,
    ) -> Result<(), StoreError> {
        let mut unknown = self.unknown(pbx, client, handed_out).await?;
        unknown.extend(self.asked(pbx, client, handed_out));
        if unknown.is_empty() {
            return Ok(());
        }
        let (for_pbx, for_client) = (pbx.to_owned(), client.as_str().to_owned());
        let remember = async move |session: &Session<'_>| {
            let now = Timestamp::now();
            for (id, since) in unknown {
                let (pbx, client) = (for_pbx.as_str(), for_client.as_str());
                let values = params![pbx, client, id, since.seq, since.greater, now];
                session.execute(sql::REMEMBER, values).await?;
            }
            Ok::<(), StoreError>(())
        };
        self.database.write(remember).await?;
        let count = self.handed_out.fetch_add(1, Ordering::Relaxed);
        if count % FORGET_EVERY == FORGET_EVERY - 1
            && let Err(error) = self.forget(pbx, client).await
        {
            tracing::warn!(%error, "the call ids that clients were handed out long ago are still there");
        }
        Ok(())
    }

    /// The id that it was asked with, where that is to be written.
    fn asked(&self, pbx: &str, client: &ClientId, handed_out: HandedOut) -> Option<(String, Since)> {
        let HandedOut {
            asked,
            greatest,
            last,
            until: seq,
            ..
        } = handed_out;
        let id = asked.filter(|_| asked != greatest && asked != last)?.to_string();
        let since = Since { seq, greater: 0 };
        self.asked.is_due(pbx, client, &id, since).then_some((id, since))
    }

    /// Those of the ids that have to be written, beside the one asked with.
    async fn unknown(
        &self,
        pbx: &str,
        client: &ClientId,
        handed_out: HandedOut,
    ) -> Result<Vec<(String, Since)>, StoreError> {
        // A client that gets the same id all day is no reason to write all day.
        let lately = Timestamp::now() - DAY;
        let (pbx, client) = (pbx.to_owned(), client.as_str().to_owned());
        let read = async move |session: &Session<'_>| {
            let mut unknown = Vec::new();
            for (id, since) in to_remember(handed_out) {
                let values = params![lately, pbx.as_str(), client.as_str(), id.as_str()];
                let found: Option<(Option<i64>, i64)> = session.query_opt(sql::REMEMBERED, values).await?;
                let known = found.is_some_and(|(seq, greater)| {
                    seq.is_some_and(|seq| seq <= since.seq) && greater <= since.greater
                });
                if !known {
                    unknown.push((id, since));
                }
            }
            Ok(unknown)
        };
        self.database.read(read).await
    }

    async fn forget(&self, pbx: &str, client: &ClientId) -> Result<(), StoreError> {
        let before = Timestamp::now() - DAY * REMEMBERED_DAYS;
        let at_once = limit(FORGET_AT_ONCE);
        let surplus = params![pbx, client.as_str(), at_once, limit(REMEMBERED_IDS)];
        self.database
            .execute(sql::FORGET_OLD, params![before, at_once])
            .await?;
        self.database.execute(sql::FORGET_SURPLUS, surplus).await?;
        let beyond = params![at_once, limit(REMEMBERED_IN_ALL)];
        self.database.execute(sql::FORGET_BEYOND, beyond).await?;
        Ok(())
    }

    /// The ids of at most `limit` legs of `pbx` that were stored since and up to `until`, and of those with a greater
    /// `call_history_id` than `call_id`, as text, also beyond it; by `cdr_id`, after `after`.
    pub async fn legs_since(
        &self,
        pbx: &str,
        since: Since,
        until: i64,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let Since { seq, greater } = since;
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        let (call_id, limit) = (comparable(call_id), self::limit(limit));
        let values = params![pbx, greater, seq, until, call_id, after, limit];
        self.database.query(sql::legs_since(greater), values).await
    }
}

/// The ids to remember, each once, with what they stand for.
fn to_remember(handed_out: HandedOut) -> Vec<(String, Since)> {
    let HandedOut {
        greatest,
        last,
        from,
        until,
        ..
    } = handed_out;
    let since = |greater| Since { seq: until, greater };
    let greatest = greatest.map(|id| (id, since(until)));
    let last = last.map(|id| (id, since(from.min(until))));
    let mut ids: Vec<(String, Since)> = Vec::new();
    for (id, since) in [greatest, last].into_iter().flatten() {
        let id = id.to_string();
        if ids.iter().all(|(known, _)| *known != id) {
            ids.push((id, since));
        }
    }
    ids
}
