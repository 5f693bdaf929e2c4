//! Requests that a page in somebody's browser sends.

use actix_web::http::header::{self, HeaderMap};

/// Whether a request comes from a page of an origin that is neither listed nor the server's own. A browser names the origin
/// with everything that may change something; programs do not.
pub(super) fn is_foreign(headers: &HeaderMap, authority: Option<&str>, listed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let Ok(origin) = origin.to_str() else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").map(|(_, authority)| authority);
    let is_own = own.is_some() && (own == host || own == authority);
    !is_own && !listed.iter().any(|listed| listed == origin)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_page_is_foreign_unless_it_is_listed_or_the_server_s_own() {
        let listed = ["https://crm.example".to_owned()];
        for (origin, foreign) in [
            (None, false),
            (Some("https://crm.example"), false),
            (Some("http://127.0.0.1:3000"), false),
            (Some("https://127.0.0.1:3000"), false),
            (Some("http://127.0.0.1:3001"), true),
            (Some("http://127.0.0.1"), true),
            (Some("https://crm.example.evil"), true),
            (Some("https://evil.example"), true),
            (Some("null"), true),
            (Some(""), true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            // HTTP/2 has the server's name beside the headers.
            assert_eq!(
                is_foreign(&headers, Some("127.0.0.1:3000"), &listed),
                foreign,
                "{origin:?}"
            );
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:3000"));
            assert_eq!(is_foreign(&headers, None, &listed), foreign, "{origin:?}");
        }
    }
}
