//! The bearer token PAC may ask for.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tonic::metadata::{Ascii, MetadataValue};

use crate::settings::JwtSettings;

const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// When a token is made anew: long before its end, so that clocks may differ and requests take their time.
const RENEWAL: SignedDuration = SignedDuration::from_mins(45);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    exp: i64,
    #[serde(rename = "clientId")]
    client_id: &'a str,
}

/// Makes tokens, and keeps each one until it should be renewed.
pub(super) struct Token {
    settings: JwtSettings,
    current: RefCell<Option<(Timestamp, MetadataValue<Ascii>)>>,
}

/// The token could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be made")]
pub(super) struct NoToken;

impl Token {
    pub(super) fn new(settings: JwtSettings) -> Self {
        Self {
            settings,
            current: RefCell::new(None),
        }
    }

    /// The value of the `authorization` metadata, marked sensitive so that nothing prints it.
    pub(super) fn bearer(&self, now: Timestamp) -> Result<MetadataValue<Ascii>, NoToken> {
        let mut current = self.current.borrow_mut();
        if let Some((made, value)) = current.as_ref() {
            // A clock that was put back must not keep a token alive.
            if (SignedDuration::ZERO..RENEWAL).contains(&now.duration_since(*made)) {
                return Ok(value.clone());
            }
        }
        let value = self.make(now)?;
        *current = Some((now, value.clone()));
        Ok(value)
    }

    fn make(&self, now: Timestamp) -> Result<MetadataValue<Ascii>, NoToken> {
        let claims = Claims {
            iss: &self.settings.issuer,
            aud: &self.settings.audience,
            exp: now.as_second() + LIFETIME.as_secs(),
            client_id: &self.settings.client_id,
        };
        let key = EncodingKey::from_secret(self.settings.key.expose_secret().as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|_| NoToken)?;
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| NoToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use serde_json::Value;

    use super::*;

    fn claims(value: &MetadataValue<Ascii>, key: &str) -> Result<Value, jsonwebtoken::errors::Error> {
        let token = value.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["onvoip.ru"]);
        validation.set_issuer(&["pac"]);
        decode::<Value>(token, &DecodingKey::from_secret(key.as_bytes()), &validation).map(|data| data.claims)
    }

    fn token() -> Token {
        Token::new(JwtSettings {
            key: "a shared key of some length, 32+".into(),
            client_id: "gateway".to_owned(),
            issuer: "pac".to_owned(),
            audience: "onvoip.ru".to_owned(),
        })
    }

    #[test]
    fn a_token_can_be_verified_with_the_key_and_with_no_other() {
        let now = Timestamp::now();
        let value = token().bearer(now).unwrap();
        let claims_made = claims(&value, "a shared key of some length, 32+").unwrap();
        assert_eq!(claims_made["clientId"], "gateway");
        assert_eq!(claims_made["exp"], now.as_second() + 3_600);
        assert!(claims(&value, "another key").is_err());
        assert!(value.is_sensitive() && !format!("{value:?}").contains("ey"));
    }

    #[test]
    fn a_token_is_kept_and_renewed_well_before_it_expires() {
        let token = token();
        let now = Timestamp::now();
        let minutes = |minutes| now + SignedDuration::from_mins(minutes);
        let first = token.bearer(now).unwrap();
        assert_eq!(token.bearer(minutes(44)).unwrap(), first);
        let second = token.bearer(minutes(45)).unwrap();
        assert_ne!(second, first);
        assert_eq!(token.bearer(minutes(89)).unwrap(), second);
        assert_ne!(
            token.bearer(minutes(-1)).unwrap(),
            second,
            "the clock was put back"
        );
    }
}
