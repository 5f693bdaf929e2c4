//! Errors as they leave the server, in both shapes.

use std::net::{SocketAddr, TcpListener};

use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tracing_actix_web::TracingLogger;

use super::support::{Answer, TestApp, send};
use crate::actor::AskError;
use crate::ari::{AriError, OriginateError};
use crate::call::CallId;
use crate::database::StoreError;
use crate::http::error::ApiError;
use crate::http::observe::{RequestSpan, observe};
use crate::http::render::render_errors;

/// A server whose every route answers with this error.
fn failing(error: ApiError) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(move || {
        let error = error.clone();
        let fail = move || {
            let error = error.clone();
            async move { Err::<HttpResponse, ApiError>(error) }
        };
        App::new()
            .default_service(web::to(fail))
            .wrap(from_fn(|request, next| {
                render_errors("/v1/".into(), request, next)
            }))
            .wrap(from_fn(observe))
            .wrap(TracingLogger::<RequestSpan>::new())
    });
    actix_web::rt::spawn(server.workers(1).listen(listener).unwrap().run());
    address
}

/// The answer with this error on one of the original's routes.
async fn answer(error: ApiError) -> Answer {
    send(failing(error), Method::POST, "/pbx-api/make-call", &[], "{}").await
}

/// Status, code, outcome, retryable, Retry-After.
type Told = (u16, &'static str, &'static str, bool, Option<&'static str>);

#[actix_web::test]
async fn a_call_that_was_not_placed_is_never_a_success_and_says_what_is_known() {
    let second = std::time::Duration::from_secs(1);
    let table: [(AskError<OriginateError>, Told); 6] = [
        (
            AskError::Saturated { retry_after: second },
            (503, "saturated", "not_placed", true, Some("1")),
        ),
        (
            AskError::DeadlineExceeded { begun: false },
            (504, "deadline_exceeded", "not_placed", true, None),
        ),
        (
            AskError::DeadlineExceeded { begun: true },
            (502, "originate_outcome_unknown", "unknown", false, None),
        ),
        (
            AskError::Interrupted,
            (502, "originate_outcome_unknown", "unknown", false, None),
        ),
        (
            AskError::Reply(OriginateError::NotConnected("connection refused".to_owned())),
            (503, "not_connected", "not_placed", true, Some("5")),
        ),
        (
            AskError::Reply(AriError::Unauthorized.into()),
            (502, "credentials_refused", "not_placed", true, None),
        ),
    ];
    for (error, (status, code, outcome, retryable, retry_after)) in table {
        let error = ApiError::from(error);
        let answer = answer(error.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{code}");
        assert_eq!(answer.header("retry-after"), retry_after, "{code}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.json();
        let expected = json!({
            "message": error.message,
            "error": answer.status.canonical_reason(),
            "statusCode": status,
            "code": code,
            "retryable": retryable,
            "outcome": outcome,
            "request_id": answer.header("x-request-id"),
        });
        assert_eq!(document["error"], expected);
        assert_eq!(document["status"], status);
    }
}

#[actix_web::test]
async fn reads_that_failed_have_the_originals_shape_and_no_outcome() {
    let unavailable = AskError::Reply(StoreError::Unavailable("db:5432".to_owned()));
    let answer = answer(ApiError::from(unavailable)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), Some("5"));
    let document = answer.json();
    assert_eq!(document["error"]["code"], "store_unavailable");
    assert_eq!(document["error"]["outcome"], Value::Null);
    assert!(!answer.text().contains("db:5432"));

    let app = TestApp::start(&[]).await;
    let answer = app.get("/pbx-api/last-call-id").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, None)
    );
    assert_eq!(answer.json()["error"]["code"], "not_configured");
}

#[actix_web::test]
async fn a_call_that_there_may_be_is_named_in_both_shapes() {
    let call = CallId::mint();
    let error = ApiError {
        call_id: Some(call),
        ..ApiError::from(AskError::<OriginateError>::Interrupted)
    };
    let address = failing(error);
    let original = send(address, Method::POST, "/pbx-api/make-call", &[], "{}").await;
    let named = original.json()["error"].clone();
    assert_eq!(
        (&named["uniqueid"], &named["call_id"]),
        (&json!(call), &json!(call))
    );
    let problem = send(address, Method::POST, "/v1/calls", &[], "{}").await;
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem.json()["call_id"], json!(call));
    assert_eq!(problem.json()["outcome"], "unknown");
}
