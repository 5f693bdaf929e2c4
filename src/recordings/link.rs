//! Links that open without a key: whoever has one may hear the recording that it names, until it expires or the
//! signing key is rotated.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::Key;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;
use utoipa::IntoParams;

use super::id::RecordingId;
use crate::ledger::key::LinkKey;

/// How signatures are made. It begins each one, so that links of another make can be told apart from forged ones.
const VERSION: &str = "1";

/// What the query of a link proves: that this gateway made it for this recording and this end.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkSignature {
    /// The version, a dot, and the HMAC-SHA256 in base64url.
    #[param(required = false, example = "1.q0uZb3v6bq2cVJm8yqXkYh1R6d5oK7n0wTt9fE4sLxA")]
    signature: String,
    /// When the link stops working, in seconds since 1970; none is until the key is rotated.
    expires: Option<u64>,
}

/// Why a link does not open anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not signed with the present key, or not for this recording and this end.
    #[error("the link's signature is not valid")]
    Invalid,
    /// It is genuine, and too old.
    #[error("the link has expired")]
    Expired,
}

impl LinkSignature {
    /// Signs a link to `id` that works until `expires`, in seconds since 1970.
    pub fn sign(key: &LinkKey, id: &RecordingId, expires: Option<u64>) -> Self {
        let code = URL_SAFE_NO_PAD.encode(mac(key, id, expires).finalize().into_bytes());
        Self {
            signature: format!("{VERSION}.{code}"),
            expires,
        }
    }

    /// Whether this is a signature for `id` that still holds.
    ///
    /// # Errors
    /// See [`LinkError`]: an end is looked at only when the signature vouches for it.
    pub fn verify(&self, key: &LinkKey, id: &RecordingId, now: Timestamp) -> Result<(), LinkError> {
        let code = self
            .signature
            .strip_prefix(VERSION)
            .and_then(|rest| rest.strip_prefix('.'));
        let code = code
            .and_then(|code| URL_SAFE_NO_PAD.decode(code).ok())
            .ok_or(LinkError::Invalid)?;
        // Takes as long whichever byte differs.
        mac(key, id, self.expires)
            .verify_slice(&code)
            .map_err(|_| LinkError::Invalid)?;
        let now = u64::try_from(now.as_second()).unwrap_or_default();
        match self.expires {
            Some(end) if end <= now => Err(LinkError::Expired),
            Some(_) | None => Ok(()),
        }
    }
}

/// The query, without its question mark. Nothing in it needs encoding.
impl fmt::Display for LinkSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signature={}", self.signature)?;
        match self.expires {
            Some(end) => write!(f, "&expires={end}"),
            None => Ok(()),
        }
    }
}

/// The code over everything that a link promises, each part with an end of its own: no PBX's name holds a line's end.
fn mac(key: &LinkKey, id: &RecordingId, expires: Option<u64>) -> Hmac<Sha256> {
    let end = expires.map(|end| end.to_string()).unwrap_or_default();
    let text = format!("mege recording link {VERSION}\n{id}\n{end}");
    // HMAC fills a key up with zeros to the hash's block.
    let mut block = Key::<Hmac<Sha256>>::default();
    block[..key.expose().len()].copy_from_slice(key.expose());
    let mut mac = Hmac::<Sha256>::new(&block);
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: LinkKey = LinkKey::of([7; 32]);

    fn id(text: &str) -> RecordingId {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The query as a server reads it.
    fn read(query: &str) -> LinkSignature {
        actix_web::web::Query::<LinkSignature>::from_query(query)
            .unwrap()
            .into_inner()
    }

    #[test]
    fn a_link_works_until_its_end_or_for_ever() {
        let id = id("main.789");
        let link = LinkSignature::sign(&KEY, &id, None).to_string();
        assert_eq!(link.len(), "signature=1.".len() + 43);
        assert_eq!(read(&link).verify(&KEY, &id, Timestamp::MAX), Ok(()));
        let link = LinkSignature::sign(&KEY, &id, Some(1_000)).to_string();
        assert!(link.ends_with("&expires=1000"), "{link}");
        assert_eq!(read(&link).verify(&KEY, &id, at(999)), Ok(()));
        assert_eq!(read(&link).verify(&KEY, &id, at(1_000)), Err(LinkError::Expired));
    }

    #[test]
    fn the_text_that_is_signed_stays_the_same() {
        // Computed with another program; a change would end every link that is in use.
        let link = LinkSignature::sign(&KEY, &id("main.789"), Some(1_000));
        assert_eq!(
            link.to_string(),
            "signature=1.XIB3Q9BQyWDUNjZ_9Ii0l8AhmrQfiNepcnRHwvL8iY4&expires=1000"
        );
        let link = LinkSignature::sign(&KEY, &id("main.789"), None);
        assert_eq!(
            link.to_string(),
            "signature=1.al9Dg0BGJj955uduUrlhdQR0cZ1aRDOzH8qrtcAADfo"
        );
    }

    #[test]
    fn a_link_opens_nothing_but_what_it_was_made_for() {
        let made = LinkSignature::sign(&KEY, &id("main.789"), Some(1_000));
        let verify = |link: &LinkSignature, key: &LinkKey, other: &str| link.verify(key, &id(other), at(0));
        assert_eq!(verify(&made, &KEY, "main.789"), Ok(()));
        for other in ["main.788", "main.7891", "office.789"] {
            assert_eq!(verify(&made, &KEY, other), Err(LinkError::Invalid), "{other}");
        }
        assert_eq!(
            verify(&made, &LinkKey::of([8; 32]), "main.789"),
            Err(LinkError::Invalid)
        );
        for expires in [None, Some(1_001), Some(0)] {
            let longer = LinkSignature {
                expires,
                ..made.clone()
            };
            assert_eq!(
                verify(&longer, &KEY, "main.789"),
                Err(LinkError::Invalid),
                "{expires:?}"
            );
        }
    }

    #[test]
    fn a_damaged_signature_is_no_signature() {
        let id = id("main.789");
        let made = LinkSignature::sign(&KEY, &id, None).signature;
        let mut last = made.clone();
        // The same bytes written otherwise: the last character carries two bits of nothing.
        let end = last.pop().unwrap();
        last.push(char::from_u32(u32::from(end) + 1).unwrap());
        let damaged = [
            String::new(),
            "1.".to_owned(),
            made[2..].to_owned(),
            made.replacen("1.", "2.", 1),
            made.replacen("1.", "1", 1),
            format!("{made}="),
            format!("{made}A"),
            made[..made.len() - 1].to_owned(),
            made[..20].to_owned(),
            last,
            "1.И".to_owned(),
            "A".repeat(100_000),
        ];
        for signature in damaged {
            let link = LinkSignature {
                signature,
                expires: None,
            };
            assert_eq!(link.verify(&KEY, &id, at(0)), Err(LinkError::Invalid), "{link}");
        }
    }
}
