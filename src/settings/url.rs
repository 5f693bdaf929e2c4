//! Addresses of web servers, as links begin with them.

use actix_web::http::Uri;
use serde::Deserialize;

/// An http or https address to which paths are appended: with a host, without credentials, query or fragment, and
/// without a slash at its end.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpUrl(String);

/// Not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be http://HOST or https://HOST, with a port and a path if need be, without credentials, query or fragment"
)]
pub struct InvalidHttpUrl;

impl TryFrom<String> for HttpUrl {
    type Error = InvalidHttpUrl;

    fn try_from(text: String) -> Result<Self, InvalidHttpUrl> {
        // What a parser may drop or a reader of links take for an end.
        let plain = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\' | '`' | '{' | '|' | '}')
        };
        if !text.chars().all(plain) {
            return Err(InvalidHttpUrl);
        }
        let url: Uri = text.parse().map_err(|_| InvalidHttpUrl)?;
        let web = matches!(url.scheme_str(), Some("http" | "https"));
        let host = url.host().is_some_and(|host| !host.is_empty());
        let credentials = url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        if !web || !host || credentials || url.query().is_some() {
            return Err(InvalidHttpUrl);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl HttpUrl {
    /// Its origin as browsers write it: the scheme, the host, and the port unless it is the scheme's own.
    pub(crate) fn origin(&self) -> String {
        let url = self.0.to_ascii_lowercase();
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        let shown = authority.strip_suffix(own_port).unwrap_or(authority);
        format!("{scheme}://{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_nothing_after_its_path() {
        for (text, kept) in [
            ("https://pbx.example", "https://pbx.example"),
            ("http://10.0.0.1:8080/", "http://10.0.0.1:8080"),
            ("https://[::1]:1/rec/all//", "https://[::1]:1/rec/all"),
            ("HTTPS://pbx.example/%D0%98", "HTTPS://pbx.example/%D0%98"),
        ] {
            assert_eq!(HttpUrl::try_from(text.to_owned()).unwrap().to_string(), kept);
        }
        for text in [
            "",
            "pbx.example",
            "/rec",
            "//pbx.example",
            "ftp://pbx.example",
            "file:///rec",
            "https://",
            "https:///rec",
            "https://:80",
            "https://me:secret@pbx.example",
            "https://pbx.example/?a=b",
            "https://pbx.example/#a",
            "https://pbx.example/a b",
            "https://pbx.example/И",
            "https://pbx.example/\"",
            "https://pbx.example/a\nb",
        ] {
            assert!(HttpUrl::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_what_browsers_make_of_it() {
        for (text, origin) in [
            ("https://pbx.example/mege", "https://pbx.example"),
            ("HTTPS://PBX.example:443", "https://pbx.example"),
            ("http://10.0.0.1:80/", "http://10.0.0.1"),
            ("http://[::1]:443", "http://[::1]:443"),
            ("https://pbx.example:80/", "https://pbx.example:80"),
        ] {
            assert_eq!(HttpUrl::try_from(text.to_owned()).unwrap().origin(), origin);
        }
    }
}
