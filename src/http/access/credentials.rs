//! The key that a request carries.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use crate::ledger::key::SecretDigest;

/// The header for clients that cannot set `Authorization`.
pub(in crate::http) const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// Why what a request carries cannot be used, with what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("this is not a key: one begins with mege_ and has 48 characters")]
    NotAKey,
    #[error("there are several keys: send one")]
    Several,
    #[error(
        "a key in the query ends in logs: send it as Authorization: Bearer or X-API-Key, and have this one revoked"
    )]
    InQuery,
}

/// Keys that are looked at: the same one may come in both headers, and twice through a proxy. Each costs a hash.
const MOST: usize = 4;

/// The digest of the key that a request carries, if any. The key itself goes no further.
pub(super) fn shown(headers: &HeaderMap, query: &str) -> Result<Option<SecretDigest>, Malformed> {
    if holds_key(query) {
        return Err(Malformed::InQuery);
    }
    let mut found = None;
    // Another scheme is somebody else's: a proxy's, that lets people in with a password.
    let bearers = headers
        .get_all(header::AUTHORIZATION)
        .filter_map(|value| bearer(value.as_bytes()));
    let plain = headers.get_all(KEY_HEADER).map(|value| value.as_bytes());
    for (number, text) in bearers.chain(plain).enumerate() {
        if number == MOST {
            return Err(Malformed::Several);
        }
        let digest = SecretDigest::of(text.trim_ascii()).ok_or(Malformed::NotAKey)?;
        if found.replace(digest).is_some_and(|other| other != digest) {
            return Err(Malformed::Several);
        }
    }
    Ok(found)
}

/// What comes after the scheme, which may be nothing: a client that means to send a key and has none.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (ends && scheme.eq_ignore_ascii_case(b"bearer")).then_some(rest)
}

/// Whether a key stands somewhere in a text, as it is or escaped for a URL: in a query, whatever the parameter is called.
pub(in crate::http) fn holds_key(text: &str) -> bool {
    holds_plain_key(text) || text.contains('%') && holds_plain_key(&decoded(text))
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn holds_plain_key(text: &str) -> bool {
    text.match_indices("mege_").any(|(at, _)| {
        let key = text.as_bytes().get(at..at + 48);
        key.is_some_and(|key| SecretDigest::of(key).is_some())
    })
}

/// A path or query without the keys in it: errors repeat it. Of one with an escaped key nothing is left.
pub(in crate::http) fn without_keys(text: &str) -> String {
    let mut parts = text.split("mege_");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_key = part
            .as_bytes()
            .get(..43)
            .is_some_and(|random| SecretDigest::of(&[b"mege_", random].concat()).is_some());
        shown.push_str(if is_key { "mege_…" } else { "mege_" });
        shown.push_str(if is_key { &part[43..] } else { part });
    }
    if holds_key(&shown) {
        "…".to_owned()
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::ledger::key::KeySecret;

    fn headers(pairs: &[(HeaderName, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_comes_in_either_header() {
        let secret = KeySecret::generate().unwrap();
        let key = secret.expose();
        let authorization = |value: String| (header::AUTHORIZATION, value);
        let plain = |value: &str| (KEY_HEADER, value.to_owned());
        let digest = Ok(Some(secret.digest()));
        assert_eq!(shown(&headers(&[]), "a=b"), Ok(None));
        for pairs in [
            vec![authorization(format!("Bearer {key}"))],
            vec![authorization(format!("bearer   {key}"))],
            vec![authorization(format!("Bearer\t{key}"))],
            vec![plain(key)],
            vec![authorization(format!("BEARER {key}")), plain(key)],
            vec![plain(key); MOST],
            vec![authorization("Basic bWVnZTpzZWNyZXQ=".to_owned()), plain(key)],
        ] {
            assert_eq!(shown(&headers(&pairs), ""), digest, "{pairs:?}");
        }
        for another in [
            "Basic bWVnZTpzZWNyZXQ=",
            "Negotiate x",
            "Basic",
            "Bearers x",
            "",
            key,
        ] {
            let pairs = vec![authorization(another.to_owned())];
            assert_eq!(shown(&headers(&pairs), ""), Ok(None), "{another}");
        }
        let other = KeySecret::generate().unwrap();
        for (pairs, wrong) in [
            (
                vec![authorization(format!("Bearer {key}")), plain(other.expose())],
                Malformed::Several,
            ),
            (vec![plain(key), plain(other.expose())], Malformed::Several),
            (vec![plain(key); MOST + 1], Malformed::Several),
            (vec![authorization("Bearer ".to_owned())], Malformed::NotAKey),
            // As the one above arrives.
            (vec![authorization("Bearer".to_owned())], Malformed::NotAKey),
            (vec![authorization("Bearer mege_".to_owned())], Malformed::NotAKey),
            (vec![plain("")], Malformed::NotAKey),
            (vec![plain(&format!("{key}A"))], Malformed::NotAKey),
            (vec![plain(key), plain("x")], Malformed::NotAKey),
        ] {
            assert_eq!(shown(&headers(&pairs), ""), Err(wrong), "{pairs:?}");
        }
    }

    fn escaped(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    #[test]
    fn a_key_in_the_query_is_refused_and_not_repeated() {
        let secret = KeySecret::generate().unwrap();
        let key = secret.expose();
        for query in [
            format!("key={key}"),
            format!("a=mege_&b={key}&c=1"),
            key.to_owned(),
        ] {
            let with_header = headers(&[(KEY_HEADER, key.to_owned())]);
            assert_eq!(shown(&with_header, &query), Err(Malformed::InQuery), "{query}");
            let repeated = without_keys(&format!("/cdr?{query}"));
            assert!(!repeated.contains(&key[5..]), "{repeated}");
            assert!(
                repeated.starts_with("/cdr?") && repeated.contains("mege_…"),
                "{repeated}"
            );
        }
        for (plain, escaped) in [
            ("_", "%5f"),
            ("mege", "%6Dege"),
            (&key[20..24], &escaped(&key[20..24])),
        ] {
            let query = format!("key={}", key.replacen(plain, escaped, 1));
            assert_eq!(shown(&headers(&[]), &query), Err(Malformed::InQuery), "{query}");
            assert_eq!(without_keys(&format!("/cdr?{query}")), "…");
        }
        assert_eq!(shown(&headers(&[]), "file=mege_recording.wav"), Ok(None));
        assert_eq!(without_keys("/a?file=mege_ы&mege_x"), "/a?file=mege_ы&mege_x");
    }
}
