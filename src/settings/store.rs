//! Where CDRs and the ledger are kept.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::actor::Limits;
use crate::words::words;

/// Both stores.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:FILE` or `postgres://…`.
    pub url: StoreUrl,
    /// Connections for reading.
    pub connections: usize,
    /// How long a request to a store may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many requests at once, for each of the two.
    pub limits: Limits,
}

/// Which kind of store, and where. `Debug` shows no password.
#[derive(derive_more::Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// Two files: this one for CDRs, and one beside it whose name ends in `-ledger` for the ledger.
    Sqlite(PathBuf),
    /// One database.
    Postgres(#[debug("…")] String),
}

/// Why a store URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStoreUrl {
    /// It is of neither kind.
    #[error("must be sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Kind,
    /// How to encrypt is not said in words that are known.
    #[error("sslmode must be disable, prefer, require or verify-full")]
    SslMode,
    /// Whom to trust is said where nobody is checked.
    #[error("sslrootcert goes with sslmode=verify-full")]
    SslRootCert,
}

words! {
    /// How a connection to PostgreSQL is encrypted, by `sslmode` of its URL; the names are PostgreSQL's
    /// (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
    SslMode {
        /// Not at all.
        Disable = "disable",
        /// Where the server can, whoever it is. The default.
        Prefer = "prefer",
        /// In any case, whoever the server is.
        Require = "require",
        /// In any case, and the server has a certificate of this host's name from somebody who is trusted.
        VerifyFull = "verify-full",
    }
}

/// The part of a `postgres://` URL that says how to encrypt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssl {
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslrootcert`: the file of those who are trusted; without one, whom the operating system trusts.
    pub root_certificates: Option<PathBuf>,
}

impl Ssl {
    /// Takes it out of a `postgres://` URL; what is left goes to the client, which does not know all of it.
    ///
    /// # Errors
    /// Where it makes no sense.
    pub fn split(url: &str) -> Result<(String, Self), InvalidStoreUrl> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ssl = Self {
            mode: SslMode::Prefer,
            root_certificates: None,
        };
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "sslmode" => {
                    let mode = SslMode::ALL.iter().find(|mode| mode.as_str() == value);
                    ssl.mode = *mode.ok_or(InvalidStoreUrl::SslMode)?;
                }
                "sslrootcert" => ssl.root_certificates = Some(value.into_owned().into()),
                _ => rest.push(parameter),
            }
        }
        if ssl.root_certificates.is_some() && ssl.mode != SslMode::VerifyFull {
            return Err(InvalidStoreUrl::SslRootCert);
        }
        let rest = rest.join("&");
        let separator = if rest.is_empty() { "" } else { "?" };
        Ok((format!("{base}{separator}{rest}"), ssl))
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = InvalidStoreUrl;

    fn try_from(text: String) -> Result<Self, InvalidStoreUrl> {
        match text.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::Sqlite(file.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ssl::split(&text)?;
                Ok(Self::Postgres(text))
            }
            _ => Err(InvalidStoreUrl::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_to_encrypt_is_part_of_the_url() {
        let split = |query: &str| Ssl::split(&format!("postgres://u:p@h/d{query}"));
        let whole = |rest: &str, mode, file: Option<&str>| {
            let ssl = Ssl {
                mode,
                root_certificates: file.map(PathBuf::from),
            };
            Ok((format!("postgres://u:p@h/d{rest}"), ssl))
        };
        assert_eq!(split(""), whole("", SslMode::Prefer, None));
        assert_eq!(split("?sslmode=disable"), whole("", SslMode::Disable, None));
        assert_eq!(
            split("?options=-c%20x&sslmode=require&a=b"),
            whole("?options=-c%20x&a=b", SslMode::Require, None)
        );
        assert_eq!(
            split("?sslmode=verify-full&sslrootcert=/etc/my%20ca.crt"),
            whole("", SslMode::VerifyFull, Some("/etc/my ca.crt"))
        );
        assert_eq!(split("?sslmode=verify-ca"), Err(InvalidStoreUrl::SslMode));
        assert_eq!(split("?sslmode"), Err(InvalidStoreUrl::SslMode));
        assert_eq!(
            split("?sslmode=require&sslrootcert=a"),
            Err(InvalidStoreUrl::SslRootCert)
        );
    }
}
