//! Channels and the causes of their end.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::event::date;

/// A channel.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    /// The trunk that it goes through.
    pub(super) trunk: String,
    pub(super) state: &'static str,
    pub(super) caller: (String, String),
    pub(super) context: String,
    pub(super) exten: String,
    /// The application of the dialplan, and its data.
    pub(super) dialplan_app: (&'static str, String),
    pub(super) created: Timestamp,
    /// Whether a Stasis application has it.
    pub(super) in_stasis: bool,
    /// Cancelled when somebody hangs up the call that it is part of.
    pub(super) hangup: CancellationToken,
    /// The cause that ARI gave when it hung up.
    pub(super) hangup_cause: Option<u16>,
}

impl Channel {
    pub(super) fn endpoint(&self) -> String {
        format!("PJSIP/{}", self.trunk)
    }

    pub(super) fn to_json(&self) -> Value {
        let (name, number) = &self.caller;
        let (app_name, app_data) = &self.dialplan_app;
        json!({
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": format!("{}@127.0.0.1", self.id),
            "caller": { "name": name, "number": number },
            "connected": { "name": name, "number": number },
            "accountcode": "",
            "dialplan": {
                "context": self.context,
                "exten": self.exten,
                "priority": 1,
                "app_name": app_name,
                "app_data": app_data,
            },
            "creationtime": date(self.created),
            "language": "en",
        })
    }
}

/// Splits `"Name" <number>`, or a number alone.
pub(super) fn caller_id(text: &str) -> (String, String) {
    match text.rsplit_once('<') {
        Some((name, number)) => (
            name.trim().trim_matches('"').to_owned(),
            number.trim_end_matches('>').to_owned(),
        ),
        None => (String::new(), text.to_owned()),
    }
}

/// What `Dial` says of a party that did not answer.
pub(super) fn dial_status(cause: u16) -> &'static str {
    match cause {
        17 => "BUSY",
        34 => "CONGESTION",
        3 | 20 => "CHANUNAVAIL",
        _ => "NOANSWER",
    }
}

/// The cause that a hang-up's `reason` stands for.
pub(super) fn reason_cause(reason: &str) -> Option<u16> {
    Some(match reason {
        "normal" => 16,
        "busy" => 17,
        "congestion" => 34,
        "no_answer" => 19,
        "timeout" => 102,
        "rejected" => 21,
        "unallocated" => 1,
        "normal_unspecified" => 31,
        "number_incomplete" => 28,
        "codec_mismatch" => 58,
        "interworking" => 127,
        "failure" => 38,
        "answered_elsewhere" => 26,
        _ => return None,
    })
}
