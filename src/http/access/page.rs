//! Requests that a page in somebody's browser sends.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::uri::Authority;

use crate::settings::{HttpSettings, HttpUrl};

/// The origins whose pages may use the gateway: those that are listed, and the one at which clients reach it.
#[derive(Debug)]
pub(super) struct Pages(Vec<String>);

impl Pages {
    pub(super) fn new(http: &HttpSettings) -> Self {
        let listed = http.allowed_origins.iter().cloned();
        Self(
            listed
                .chain(http.public_url.as_ref().map(HttpUrl::origin))
                .collect(),
        )
    }

    /// Whether a request comes from a page of an origin that is neither among these nor the server's own. A browser names the
    /// origin with everything that may change something; programs do not. Both the origin and the server's name are what the
    /// page says: whoever owns a name can lead it to this server once the page is loaded.
    pub(super) fn is_foreign(&self, headers: &HeaderMap, authority: Option<&str>) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return false;
        };
        let Ok(origin) = origin.to_str() else { return true };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let own = origin.split_once("://").map(|(_, authority)| authority);
        let is_own = own.is_some_and(stays) && (own == host || own == authority);
        !is_own && !self.0.iter().any(|listed| listed == origin)
    }

    /// Whether a request was sent to a name that somebody else may have led here.
    pub(super) fn is_misled(&self, headers: &HeaderMap, authority: Option<&str>) -> bool {
        let host = headers.get(header::HOST).map(|host| host.to_str());
        let mut named = host.into_iter().chain(authority.map(Ok));
        named.any(|name| !name.is_ok_and(|name| stays(name) || self.has_name(name)))
    }

    fn has_name(&self, name: &str) -> bool {
        let mut names = self.0.iter().filter_map(|origin| origin.split_once("://"));
        names.any(|(_, known)| known.eq_ignore_ascii_case(name))
    }
}

/// Whether nobody can lead this name, with or without a port, to another server.
fn stays(name: &str) -> bool {
    name.parse().is_ok_and(|name: Authority| {
        let host = name.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn pages() -> Pages {
        Pages(vec![
            "https://crm.example".to_owned(),
            "http://gateway.example:8080".to_owned(),
        ])
    }

    /// What a request is taken for; HTTP/2 has the server's name beside the headers.
    fn both(
        ask: impl Fn(&HeaderMap, Option<&str>) -> bool,
        origin: Option<&'static str>,
        host: &'static str,
    ) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        let beside = ask(&headers, Some(host));
        headers.insert(header::HOST, HeaderValue::from_static(host));
        assert_eq!(ask(&headers, None), beside, "{origin:?} {host}");
        beside
    }

    #[test]
    fn a_page_is_foreign_unless_it_is_listed_or_the_server_s_own() {
        for (origin, foreign) in [
            (None, false),
            (Some("https://crm.example"), false),
            (Some("http://gateway.example:8080"), false),
            (Some("http://127.0.0.1:3000"), false),
            (Some("https://127.0.0.1:3000"), false),
            (Some("http://127.0.0.1:3001"), true),
            (Some("http://127.0.0.1"), true),
            (Some("https://crm.example.evil"), true),
            (Some("https://evil.example"), true),
            (Some("null"), true),
            (Some(""), true),
        ] {
            let asked = both(
                |headers, name| pages().is_foreign(headers, name),
                origin,
                "127.0.0.1:3000",
            );
            assert_eq!(asked, foreign, "{origin:?}");
        }
    }

    #[test]
    fn a_page_is_the_server_s_own_where_its_name_can_lead_nowhere_else() {
        for (origin, host, foreign) in [
            ("http://localhost:3000", "localhost:3000", false),
            ("https://[::1]", "[::1]", false),
            ("http://evil.example:3000", "evil.example:3000", true),
            ("http://evil.example", "evil.example", true),
            ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example", true),
            ("http://localhost.evil.example", "localhost.evil.example", true),
            ("http://127.0.0.1@evil.example", "127.0.0.1@evil.example", true),
        ] {
            let asked = both(
                |headers, name| pages().is_foreign(headers, name),
                Some(origin),
                host,
            );
            assert_eq!(asked, foreign, "{origin}");
        }
    }

    #[test]
    fn a_request_is_misled_by_a_name_that_others_may_own() {
        for (host, misled) in [
            ("127.0.0.1:3000", false),
            ("192.0.2.5", false),
            ("LocalHost", false),
            ("[::1]:3000", false),
            ("Gateway.example:8080", false),
            ("crm.example", false),
            ("gateway.example", true),
            ("evil.example:3000", true),
            ("127.0.0.1@evil.example", true),
            ("", true),
        ] {
            let asked = both(|headers, name| pages().is_misled(headers, name), None, host);
            assert_eq!(asked, misled, "{host}");
        }
        // As HTTP/1.0 has it.
        assert!(!pages().is_misled(&HeaderMap::new(), None));
        let mut bytes = HeaderMap::new();
        bytes.insert(header::HOST, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(pages().is_misled(&bytes, None));
    }
}
