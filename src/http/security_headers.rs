//! Headers that keep a browser from making more of an answer than it is.
//!
//! There is no `Strict-Transport-Security`: it would bind every port and service of the host name, for months, to what
//! this one was set to, and programs, which are nearly all callers here, take no notice of it.

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;

/// A header by name and value.
type Header = (header::HeaderName, &'static str);

/// An answer that is no page loads nothing, and is shown in no frame.
const ANSWER_POLICY: Header = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The policy of a page of our own: everything from here, and styles within the page, which the API's browser needs.
pub(super) const PAGE_POLICY: Header = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

/// The headers of every answer, as far as it has not set them itself: a page sets [`PAGE_POLICY`].
pub(super) fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        // Most is behind a key, and a cache in front would hand it to a caller without one.
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add(ANSWER_POLICY)
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::{App, HttpResponse, test, web};

    use super::*;

    #[actix_web::test]
    async fn a_page_keeps_its_policy_and_an_error_has_the_others() {
        let page = || async { HttpResponse::Ok().insert_header(PAGE_POLICY).finish() };
        let app = App::new()
            .route("/page", web::get().to(page))
            .wrap(security_headers());
        let app = test::init_service(app).await;
        for (path, status, (_, policy)) in [
            ("/page", StatusCode::OK, PAGE_POLICY),
            ("/nowhere", StatusCode::NOT_FOUND, ANSWER_POLICY),
        ] {
            let request = test::TestRequest::get().uri(path).to_request();
            let response = test::call_service(&app, request).await;
            assert_eq!(response.status(), status);
            for (name, value) in [
                ("content-security-policy", policy),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
            ] {
                let values: Vec<_> = response.headers().get_all(name).collect();
                assert_eq!(values, [value], "{path}: {name}");
            }
        }
    }
}
