//! Requests that a page in somebody's browser sends: from which origin, and to which name of this server.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::uri::Authority;

use crate::settings::{HttpSettings, HttpUrl};

/// The origins whose pages may use the gateway: those that are listed, and the one at which clients reach it.
#[derive(Debug)]
pub(super) struct Origins(Vec<String>);

impl Origins {
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
        let fixed = own.and_then(host_of).is_some_and(|host| is_fixed(&host));
        let is_own = fixed && (own == host || own == authority);
        !is_own && !self.0.iter().any(|listed| listed == origin)
    }

    /// Whether a request was sent to a host whose name somebody else may own and have led here (DNS rebinding).
    pub(super) fn has_foreign_host(&self, headers: &HeaderMap, authority: Option<&str>) -> bool {
        let host = headers.get(header::HOST).map(|host| host.to_str());
        let mut named = host.into_iter().chain(authority.map(Ok));
        !named.all(|name| {
            let host = name.ok().and_then(host_of);
            host.is_some_and(|host| is_fixed(&host) || self.has_host(&host))
        })
    }

    /// Whether it is the host of one of these, on whatever port: whoever owns the name is trusted already.
    fn has_host(&self, host: &str) -> bool {
        let mut origins = self.0.iter().filter_map(|origin| origin.split_once("://"));
        origins.any(|(_, listed)| host_of(listed).is_some_and(|listed| listed.eq_ignore_ascii_case(host)))
    }
}

/// The host of a name with or without a port. One with somebody's name before it is none: no client writes that here.
fn host_of(name: &str) -> Option<String> {
    let name: Authority = name.parse().ok()?;
    (!name.as_str().contains('@')).then(|| name.host().to_owned())
}

/// Whether nobody can lead this host's name to another server.
fn is_fixed(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn origins() -> Origins {
        Origins(vec![
            "https://crm.example".to_owned(),
            "http://gateway.example:8080".to_owned(),
        ])
    }

    /// What a request is taken for; one by an absolute URI has the server's name beside the headers.
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
                |headers, name| origins().is_foreign(headers, name),
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
                |headers, name| origins().is_foreign(headers, name),
                Some(origin),
                host,
            );
            assert_eq!(asked, foreign, "{origin}");
        }
    }

    #[test]
    fn a_host_is_foreign_where_others_may_own_its_name() {
        for (host, foreign) in [
            ("127.0.0.1:3000", false),
            ("192.0.2.5", false),
            ("LocalHost", false),
            ("[::1]:3000", false),
            ("Gateway.example:8080", false),
            ("crm.example", false),
            ("gateway.example", false),
            ("gateway.example.evil.example:8080", true),
            ("evil.example:3000", true),
            ("127.0.0.1@evil.example", true),
            ("evil.example@127.0.0.1", true),
            ("", true),
        ] {
            let asked = both(
                |headers, name| origins().has_foreign_host(headers, name),
                None,
                host,
            );
            assert_eq!(asked, foreign, "{host}");
        }
        // As HTTP/1.0 has it.
        assert!(!origins().has_foreign_host(&HeaderMap::new(), None));
        let mut bytes = HeaderMap::new();
        bytes.insert(header::HOST, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(origins().has_foreign_host(&bytes, None));
    }
}
