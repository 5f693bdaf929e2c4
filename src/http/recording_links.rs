//! The links to recordings in the rows of `POST cdr`.

use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;

use super::error::ApiError;
use crate::cdr::LegacyRow;
use crate::http_client::SEGMENT;
use crate::ledger::key::LinkKey;
use crate::recordings::{LinkSignature, RecordingId};
use crate::settings::{HttpUrl, RecordingPath, Settings};

/// Where the links lead.
#[derive(Debug)]
pub(super) enum RecordingLinks {
    /// There are none.
    Nowhere,
    /// To a server of recordings.
    Server(HttpUrl),
    /// To the gateway itself, signed.
    Gateway {
        /// What they begin with.
        root: String,
        /// The 3CX that the rows are of.
        pbx: String,
        /// How many seconds they work.
        lifetime_s: Option<u64>,
    },
}

/// What signs the links of one answer: all of them end at the same time.
#[derive(Debug)]
pub(super) struct Signing {
    key: LinkKey,
    expires: Option<u64>,
}

impl RecordingLinks {
    /// The links to the recordings of the 3CX that the original's routes mean.
    pub(super) fn of(settings: &Settings) -> Self {
        let Some((pbx, pac)) = settings.default_pac() else {
            return Self::Nowhere;
        };
        match &pac.recording_path {
            None => Self::Nowhere,
            Some(RecordingPath::Server(url)) => Self::Server(url.clone()),
            Some(RecordingPath::Directory(_)) => Self::Gateway {
                root: settings.http.link_root(),
                pbx: pbx.to_owned(),
                lifetime_s: settings.http.link_lifetime().map(|lifetime| lifetime.as_secs()),
            },
        }
    }

    /// What to sign the links of an answer with that begins now, where they are signed. Rows without the links that
    /// they should have would be taken for calls that were not recorded.
    pub(super) fn signing(&self, key: Option<LinkKey>) -> Result<Option<Signing>, ApiError> {
        let Self::Gateway { lifetime_s, .. } = self else {
            return Ok(None);
        };
        let key = key.ok_or_else(ApiError::link_key_unavailable)?;
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let expires = lifetime_s.map(|lifetime| now.saturating_add(lifetime));
        Ok(Some(Signing { key, expires }))
    }

    /// The link to the recording of a row, if it has one.
    pub(super) fn link(&self, signing: Option<&Signing>, row: &LegacyRow) -> Option<String> {
        let file = row.recording_url.as_deref()?;
        match self {
            Self::Nowhere => None,
            Self::Server(url) => Some(below(url, file)),
            Self::Gateway { root, pbx, .. } => {
                let (Signing { key, expires }, id_recording) = (signing?, row.id_recording?);
                let id = RecordingId {
                    pbx: pbx.clone(),
                    id_recording,
                };
                let signature = LinkSignature::sign(key, &id, *expires);
                Some(format!("{root}/v1/recordings/{id}/media?{signature}"))
            }
        }
    }
}

/// `url` and the file's path below it, each segment percent-encoded.
fn below(url: &HttpUrl, file: &str) -> String {
    let mut link = url.to_string();
    for segment in file.trim_start_matches('/').split('/') {
        link.push('/');
        link.extend(utf8_percent_encode(segment, SEGMENT));
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::ErrorCode;

    fn row(recording: Option<(i64, &str)>) -> LegacyRow {
        LegacyRow {
            call_history_id: "00000000-01dd-7a15-d07f-8ab0000f4240".parse().unwrap(),
            cdr_id: "00000000-01dd-7a15-d07f-8ab000000000".parse().unwrap(),
            started_at: Timestamp::UNIX_EPOCH,
            answered_at: None,
            ended_at: Timestamp::UNIX_EPOCH,
            source_number: None,
            destination_number: None,
            id_recording: recording.map(|(number, _)| number),
            recording_url: recording.map(|(_, file)| file.to_owned()),
        }
    }

    #[test]
    fn a_link_to_a_server_holds_no_raw_character_that_means_something_in_a_url() {
        let row = row(Some((5, "110/[Имя, Ф]_110-7+9 #1%?(12).wav")));
        let expected = "https://pbx.example/rec/110/%5B%D0%98%D0%BC%D1%8F%2C%20%D0%A4%5D_110-7%2B9%20%231%25%3F%2812%29.wav";
        for url in ["https://pbx.example/rec", "https://pbx.example/rec/"] {
            let links = RecordingLinks::Server(HttpUrl::try_from(url.to_owned()).unwrap());
            assert!(links.signing(None).unwrap().is_none());
            assert_eq!(links.link(None, &row).as_deref(), Some(expected));
        }
        assert_eq!(RecordingLinks::Nowhere.link(None, &row), None);
    }

    fn gateway(lifetime_s: Option<u64>) -> RecordingLinks {
        RecordingLinks::Gateway {
            root: "https://mege.example/api".to_owned(),
            pbx: "main".to_owned(),
            lifetime_s,
        }
    }

    #[test]
    fn a_link_to_the_gateway_is_signed_and_names_no_file() {
        let key = LinkKey::of([7; 32]);
        let row = row(Some((5, "110/secret name.wav")));
        let links = gateway(None);
        let signing = links.signing(Some(key)).unwrap();
        let link = links.link(signing.as_ref(), &row).unwrap();
        let signature = LinkSignature::sign(&key, &"main.5".parse().unwrap(), None);
        let expected = format!("https://mege.example/api/v1/recordings/main.5/media?{signature}");
        assert_eq!(link, expected);

        let links = gateway(Some(60));
        let before = Timestamp::now().as_second();
        let signing = links.signing(Some(key)).unwrap();
        let link = links.link(signing.as_ref(), &row).unwrap();
        let (_, expires) = link.split_once("&expires=").unwrap();
        let expires: i64 = expires.parse().unwrap();
        assert!(
            (before + 60..=Timestamp::now().as_second() + 60).contains(&expires),
            "{expires}"
        );
    }

    #[test]
    fn without_its_key_there_is_no_answer_rather_than_one_without_links() {
        let failure = gateway(None).signing(None).unwrap_err();
        assert_eq!(failure.code, ErrorCode::KeysUnavailable);
    }
}
