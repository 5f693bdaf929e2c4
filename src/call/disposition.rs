//! How a call came out.

use super::record::Call;
use super::words::{CallState, Disposition, LegRole};
use crate::telephony::HangupCause;

impl Call {
    /// How it came out; none while something more may become known of it. This is decided for calls through Asterisk's
    /// dialplan: the answer is the external side's, and without one the cause of the party that was not reached tells.
    pub fn disposition(&self) -> Option<Disposition> {
        let talked = self.bridged_at.is_some()
            || self
                .legs
                .iter()
                .any(|leg| leg.answered_at.is_some() && self.role_of(leg) == LegRole::External);
        let disposition = match self.state {
            _ if talked => Disposition::Answered,
            CallState::Rejected | CallState::Failed => Disposition::Failed,
            CallState::Ended => self.cause.map_or(Disposition::Unknown, unanswered),
            CallState::Sent
            | CallState::Unknown
            | CallState::Ringing
            | CallState::Answered
            | CallState::Bridged => Disposition::Unknown,
        };
        self.closed.then_some(disposition)
    }
}

/// What a cause says of a party that did not answer. The set of causes is open: others are a failure.
fn unanswered(cause: HangupCause) -> Disposition {
    match cause.0 {
        17 => Disposition::Busy,
        // 0 is what the dialplan's `Dial` leaves of a number that rang out, and what an originate did before Asterisk 22.8.
        0 | 18 | 19 => Disposition::NoAnswer,
        21 => Disposition::Rejected,
        // Nobody is hung up on who has not answered: it was the caller's side that cleared.
        16 | 31 => Disposition::Cancelled,
        1 | 2 | 3 | 20 | 22 | 27 | 28 => Disposition::Unreachable,
        29 | 50 | 52 | 54 | 57 => Disposition::NotAllowed,
        _ => Disposition::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::{call, leg};

    /// A call with so many legs, of which these have answered, that ended with this cause.
    fn ended(legs: usize, answered: &[usize], cause: Option<u16>) -> Call {
        let mut call = call();
        (call.state, call.closed, call.cause) = (CallState::Ended, true, cause.map(HangupCause));
        call.legs = (0..legs).map(|number| leg(&format!("leg-{number}"))).collect();
        if let Some(first) = call.legs.first_mut() {
            first.channel_id = call.id.to_string();
        }
        for leg in answered {
            call.legs[*leg].answered_at = Some(call.created_at);
        }
        call
    }

    #[test]
    fn the_external_sides_answer_decides_and_else_the_cause() {
        use Disposition::*;
        for (legs, answered, cause, disposition) in [
            // Both talked, whoever hung up, be its end seen or not.
            (2, &[0, 1][..], Some(16), Answered),
            (2, &[0, 1], None, Answered),
            // The placer's own pick-up is no answer.
            (2, &[0], Some(17), Busy),
            (2, &[0], Some(19), NoAnswer),
            (2, &[0], Some(18), NoAnswer),
            (2, &[0], Some(21), Rejected),
            (2, &[0], Some(16), Cancelled),
            (2, &[0], Some(1), Unreachable),
            (2, &[0], Some(3), Unreachable),
            (2, &[0], Some(20), Unreachable),
            (2, &[0], Some(52), NotAllowed),
            (2, &[0], Some(34), Failed),
            (2, &[0], Some(127), Failed),
            (2, &[0], None, Unknown),
            (1, &[0], Some(16), Cancelled),
            // The extension was not reached.
            (1, &[], Some(17), Busy),
            (1, &[], Some(19), NoAnswer),
            (1, &[], Some(0), NoAnswer),
            (1, &[], Some(21), Rejected),
            (1, &[], Some(16), Cancelled),
            (1, &[], None, Unknown),
        ] {
            let call = ended(legs, answered, cause);
            assert_eq!(call.disposition(), Some(disposition), "{call:?}");
        }
    }

    #[test]
    fn a_bridge_tells_of_an_answer_that_was_missed() {
        let mut call = ended(2, &[0], Some(16));
        call.bridged_at = Some(call.created_at);
        assert_eq!(call.disposition(), Some(Disposition::Answered));
    }

    #[test]
    fn what_was_not_dialled_failed_and_what_cannot_be_found_out_is_unknown() {
        for (state, disposition) in [
            (CallState::Rejected, Disposition::Failed),
            (CallState::Failed, Disposition::Failed),
            (CallState::Unknown, Disposition::Unknown),
        ] {
            let mut call = ended(0, &[], None);
            call.state = state;
            assert_eq!(call.disposition(), Some(disposition));
        }
    }

    #[test]
    fn a_call_that_is_not_over_has_not_come_out_yet() {
        let mut call = ended(2, &[0, 1], None);
        (call.state, call.closed) = (CallState::Bridged, false);
        assert_eq!(call.disposition(), None);
    }
}
