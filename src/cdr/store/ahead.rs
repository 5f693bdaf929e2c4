//! Call ids from the future: minted while the clock of their 3CX was ahead, and greater than all others until it is there.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Position, sql};
use crate::cdr::ids::{floor_id, started_at};
use crate::database::{Json, Session, StoreError, params};

/// How much younger than the clock that the collector saw a call may be: it reads the clock first, and then the calls.
const SLACK: Duration = Duration::from_secs(300);

/// The least id of `pbx` that its clock has not reached, if this one is not below it. What is no younger than our own clock is
/// not looked at any further.
pub(super) async fn bound(
    session: &Session<'_>,
    pbx: &str,
    id: Option<Uuid>,
) -> Result<Option<Uuid>, StoreError> {
    let Some(id) = id.filter(|id| started_at(*id).is_some_and(|at| at > Timestamp::now())) else {
        return Ok(None);
    };
    let position = session.query_opt(sql::POSITION, params![pbx]).await?;
    let clock = position.and_then(|Json(Position { clock, .. })| clock);
    let bound = clock.and_then(|clock| Some(floor_id(clock.checked_add(SLACK).ok()?)));
    Ok(bound.filter(|bound| *bound <= id))
}
