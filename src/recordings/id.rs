//! What a recording is called outside.

use std::str::FromStr;

/// A recording of all that the gateway knows: `{pbx}.{id_recording}`, such as `main.789`.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Hash)]
#[display("{pbx}.{id_recording}")]
pub struct RecordingId {
    /// The configured name of its 3CX.
    pub pbx: String,
    /// The number that 3CX gave it.
    pub id_recording: i64,
}

/// Not such an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a PBX, a dot and a number")]
pub struct InvalidRecordingId;

impl FromStr for RecordingId {
    type Err = InvalidRecordingId;

    /// Takes an id in the one way in which it is written.
    fn from_str(text: &str) -> Result<Self, InvalidRecordingId> {
        let (pbx, number) = text.rsplit_once('.').ok_or(InvalidRecordingId)?;
        let id = Self {
            pbx: pbx.to_owned(),
            id_recording: number.parse().map_err(|_| InvalidRecordingId)?,
        };
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidRecordingId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way_only() {
        for text in ["main.789", "a-b_c.0", "main.9223372036854775807"] {
            assert_eq!(text.parse::<RecordingId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "main",
            "main.",
            "789",
            "main.07",
            "main.+7",
            "main.7 ",
            "main.9223372036854775808",
            "main.7.x",
        ] {
            assert_eq!(text.parse::<RecordingId>(), Err(InvalidRecordingId), "{text}");
        }
    }
}
