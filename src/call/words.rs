//! The closed sets of words of a call. Each word is the same in the API, in the ledger and in the documents.

use crate::words::words;

words! {
    /// Where a call is in its life. The order is that of a call that goes well; it never goes back.
    CallState: Default {
        /// The request left, and so far nothing more is known.
        #[default]
        Sent = "sent",
        /// The request left and no answer came: whether there is a call is not known. Resolved by asking the PBX, never
        /// by dialling again; what cannot be found out stays so.
        Unknown = "unknown",
        /// The first party's phone rings.
        Ringing = "ringing",
        /// The first party answered.
        Answered = "answered",
        /// Both parties are connected.
        Bridged = "bridged",
        /// Over, with its cause.
        Ended = "ended",
        /// The PBX refused it: nothing was dialled.
        Rejected = "rejected",
        /// It never left the gateway: nothing was dialled.
        Failed = "failed",
    }
}

words! {
    /// Who made a call.
    Origin: Default {
        /// This gateway, or one beside it on the same ledger: it was asked for.
        #[default]
        Api = "api",
        /// Somebody else: it was seen on the PBX.
        Observed = "observed",
    }
}

words! {
    /// Which way a call goes.
    Direction: Default {
        /// From an external number.
        Inbound = "inbound",
        /// To an external number.
        #[default]
        Outbound = "outbound",
        /// Between extensions.
        Internal = "internal",
    }
}

words! {
    /// How a call was placed.
    Mode: Default {
        /// Asterisk rings the extension, and its dialplan calls the number.
        #[default]
        Dialplan = "dialplan",
        /// The gateway joins the legs in a bridge.
        Bridge = "bridge",
        /// By a 3CX, through PAC.
        Pac = "pac",
    }
}

words! {
    /// Whose channel a leg is.
    LegRole {
        /// An extension's: ours.
        Extension = "extension",
        /// The external number's.
        External = "external",
        /// Somebody's who is asked before a transfer.
        Consult = "consult",
        /// Somebody's who listens.
        Supervisor = "supervisor",
    }
}

words! {
    /// Where a leg is in its life.
    LegState {
        /// It is being set up.
        Down = "down",
        /// Its phone rings.
        Ringing = "ringing",
        /// It was answered.
        Up = "up",
        /// It is over.
        Ended = "ended",
    }
}

words! {
    /// How a call came out.
    Disposition {
        /// The called person talked: of an outbound call the external side, never who placed it.
        Answered = "answered",
        /// No person answered, a mailbox did.
        Voicemail = "voicemail",
        /// Inbound: the caller left first.
        Abandoned = "abandoned",
        /// It rang out.
        NoAnswer = "no_answer",
        /// The called party was busy.
        Busy = "busy",
        /// The called party declined.
        Rejected = "rejected",
        /// Outbound, internal: the caller left first, or the call was hung up for it.
        Cancelled = "cancelled",
        /// The called party is not registered or not known, or no route leads there.
        Unreachable = "unreachable",
        /// A permission, a licence or a blacklist was against it.
        NotAllowed = "not_allowed",
        /// Something else went wrong.
        Failed = "failed",
        /// Nobody can tell: its end was not seen.
        Unknown = "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_in_the_order_of_a_call_that_goes_well() {
        use CallState::*;
        let order = [Sent, Unknown, Ringing, Answered, Bridged, Ended];
        assert!(order.is_sorted());
    }
}
