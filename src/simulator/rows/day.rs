//! Days of a call centre, for tests that need many rows and no waiting.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::chance::queue_call;
use super::ids::Mint;
use crate::cdr::{Cdr, Recording};

/// How long the simulated days last.
const SPAN: SignedDuration = SignedDuration::from_hours(48);

/// A row of a 3CX's tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// Of `cdroutput`.
    Cdr(Box<Cdr>),
    /// Of `recordings`.
    Recording(Box<Recording>),
}

/// A row and the moment from which it can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Appearance {
    /// When the row appears.
    pub at: Timestamp,
    /// The row.
    pub what: Row,
}

/// Two days from `start` with exactly `rows` CDRs and the recordings of those answered, by the time they appear.
///
/// About every second call shows its rows at each leg's end, the others at the call's end. Recordings follow later.
/// Some calls last hours, so that some also cross a midnight, and one row in a hundred appears hours after its end. The same seed gives the
/// same days.
pub fn simulated_days(seed: u64, start: Timestamp, rows: usize) -> Vec<Appearance> {
    let mut rng = Rng::with_seed(seed);
    let mint = Mint::default();
    // A call leaves five rows on average; a few calls too many end up beyond the count and are cut.
    let calls = i64::try_from(rows / 5 + 1).unwrap_or(i64::MAX);
    let step = SignedDuration::from_micros(SPAN.as_secs() * 1_000_000 / calls);
    let mut appearances = Vec::with_capacity(rows + rows / 4);
    let (mut cdrs, mut at) = (0, start);
    while cdrs < rows {
        let talk = if rng.u8(0..25) == 0 {
            60 * rng.u32(60..420)
        } else {
            rng.u32(3..600)
        };
        let mut call = queue_call(&mut rng, &mint, at, talk);
        call.legs.truncate(rows - cdrs);
        cdrs += call.legs.len();
        let kept: Vec<_> = call.legs.iter().map(|leg| leg.cdr_id).collect();
        call.recordings
            .retain(|recording| kept.contains(&recording.cdr_id));

        let whole_call = rng.bool().then(|| call.ended_at());
        for leg in call.legs {
            let mut at = whole_call.unwrap_or(leg.cdr_ended_at) + jitter(&mut rng, 50_000);
            if rng.u8(0..100) == 0 {
                at += SignedDuration::from_mins(rng.i64(30..600));
            }
            appearances.push(Appearance {
                at,
                what: Row::Cdr(Box::new(leg)),
            });
        }
        for recording in call.recordings {
            let ended = whole_call.or(recording.end_time).unwrap_or(at);
            appearances.push(Appearance {
                at: ended + SignedDuration::from_secs(2) + jitter(&mut rng, 1_800_000_000),
                what: Row::Recording(Box::new(recording)),
            });
        }
        at += step + jitter(&mut rng, 1_000_000);
    }
    appearances.sort_by_key(|appearance| appearance.at);
    appearances
}

fn jitter(rng: &mut Rng, below_micros: i64) -> SignedDuration {
    SignedDuration::from_micros(rng.i64(0..below_micros))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn days() -> Vec<Appearance> {
        simulated_days(7, "2026-02-10T00:00:00Z".parse().unwrap(), 2_000)
    }

    fn cdrs(days: &[Appearance]) -> Vec<(Timestamp, &Cdr)> {
        let cdr = |appearance: &'_ Appearance| match &appearance.what {
            Row::Cdr(_) => true,
            Row::Recording(_) => false,
        };
        days.iter()
            .filter(|appearance| cdr(appearance))
            .map(|appearance| match &appearance.what {
                Row::Cdr(row) => (appearance.at, &**row),
                Row::Recording(_) => unreachable!("filtered"),
            })
            .collect()
    }

    #[test]
    fn the_days_have_as_many_rows_as_asked_for_each_with_an_id_of_its_own() {
        let days = days();
        let cdrs = cdrs(&days);
        let ids: HashSet<_> = cdrs.iter().map(|(_, row)| row.cdr_id).collect();
        assert_eq!((cdrs.len(), ids.len()), (2_000, 2_000));
        assert!(days.is_sorted_by_key(|appearance| appearance.at));
        assert_eq!(days, self::days(), "the same seed gives the same days");
    }

    #[test]
    fn there_is_all_that_makes_collecting_hard() {
        let days = days();
        let cdrs = cdrs(&days);
        assert!(
            cdrs.iter().all(|(at, row)| *at >= row.cdr_ended_at),
            "no row appears before it ended"
        );
        let hours = |h| SignedDuration::from_hours(h);
        assert!(
            cdrs.iter()
                .any(|(_, row)| row.cdr_ended_at.duration_since(row.cdr_started_at) > hours(3))
        );
        assert!(
            cdrs.iter()
                .any(|(at, row)| at.duration_since(row.cdr_ended_at) > hours(3))
        );
        let day = |at: Timestamp| at.as_second() / 86_400;
        assert!(
            cdrs.iter()
                .any(|(_, row)| day(row.cdr_started_at) != day(row.cdr_ended_at))
        );
        // An id minted earlier appears after one minted later.
        assert!(!cdrs.is_sorted_by_key(|(_, row)| row.cdr_id));
        let last = cdrs.iter().map(|(_, row)| row.cdr_started_at).max().unwrap();
        assert!(last.duration_since("2026-02-11T12:00:00Z".parse().unwrap()) > SignedDuration::ZERO);
    }

    #[test]
    fn a_recording_appears_after_its_call() {
        let days = days();
        let seen = days.iter().filter(|appearance| match &appearance.what {
            Row::Recording(recording) => {
                assert!(Some(appearance.at) > recording.end_time);
                true
            }
            Row::Cdr(_) => false,
        });
        assert!(seen.count() > 100);
    }
}
