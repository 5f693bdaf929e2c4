//! The documents and the routes: neither is without the other.

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::introspection::IntrospectionTree;
use actix_web::{App, HttpResponse, test, web};
use serde_json::Value;
use utoipa_actix_web::AppExt as _;

use super::support::TestApp;
use crate::http::routes::{configure, describe};

/// A method and a path.
type Route = (String, String);

async fn tree(tree: web::Data<IntrospectionTree>) -> HttpResponse {
    HttpResponse::Ok().body(tree.report_as_json())
}

/// The routes as the server has them, whoever registered them and how.
async fn registered(base: &str) -> BTreeSet<Route> {
    let app = App::new()
        .route("/tree-of-this-test", web::get().to(tree))
        .into_utoipa_app()
        .configure(|config| configure(base, config))
        .into_app();
    let app = test::init_service(app).await;
    let request = test::TestRequest::get().uri("/tree-of-this-test").to_request();
    let items: Vec<Value> = test::call_and_read_body_json(&app, request).await;
    let routes = items.iter().flat_map(|item| {
        let path = item["full_path"].as_str().unwrap().to_owned();
        let methods = item["methods"].as_array().unwrap();
        methods
            .iter()
            .map(move |method| (method.as_str().unwrap().to_owned(), path.clone()))
    });
    routes.filter(|(_, path)| path != "/tree-of-this-test").collect()
}

fn documented(base: &str) -> BTreeSet<Route> {
    let document = serde_json::to_value(describe(base)).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    routes.collect()
}

#[actix_web::test]
async fn every_route_is_in_the_document_and_the_other_way_round() {
    for base in ["", "/api", "/a/b"] {
        let registered = registered(base).await;
        assert!(
            registered.contains(&("POST".to_owned(), format!("{base}/pbx-api/make-call"))),
            "{registered:?}"
        );
        assert_eq!(registered, documented(base), "{base}");
    }
}

#[actix_web::test]
async fn every_operation_says_who_may_use_it_what_it_answers_and_what_that_means() {
    let document = serde_json::to_value(describe("")).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(!operation["security"].as_array().unwrap().is_empty(), "{name}");
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|words| !words.is_empty()),
                "{name}"
            );
            assert!(!operation["tags"].as_array().unwrap().is_empty(), "{name}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let described = response["description"]
                    .as_str()
                    .is_some_and(|words| !words.is_empty());
                assert!(described, "{name} {status}");
                let error = status.starts_with(['4', '5']) && response["content"].is_object();
                for content in response["content"]
                    .as_object()
                    .into_iter()
                    .flat_map(|content| content.values())
                {
                    let shown = !content["examples"].is_null() || !content["example"].is_null();
                    assert!(!error || shown, "{name} {status}");
                }
            }
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[actix_web::test]
async fn serves_its_documents_and_pages_from_within() {
    let server = TestApp::start(&[]).await;
    for (path, content_type, holds) in [
        ("/openapi.json", "application/json", "\"/pbx-api/make-call\""),
        ("/pbx-api-json", "application/json", "\"/pbx-api/make-call\""),
        ("/docs", "text/html; charset=utf-8", "docs/reference.js"),
        ("/pbx-api", "text/html; charset=utf-8", "docs/original.js"),
        (
            "/docs/reference.js",
            "text/javascript; charset=utf-8",
            "openapi.json",
        ),
        (
            "/docs/original.js",
            "text/javascript; charset=utf-8",
            "pbx-api-json",
        ),
        (
            "/docs/errors",
            "text/html; charset=utf-8",
            "id=\"originate_outcome_unknown\"",
        ),
        ("/docs/errors.css", "text/css; charset=utf-8", "table"),
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some(content_type), "{path}");
        assert!(reply.text().contains(holds), "{path}");
    }
    for (path, content_type) in [
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/favicon-32x32.png", "image/png"),
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some(content_type), "{path}");
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{path}");
    }
    let reply = server.get("/pbx-api-json").await;
    assert!(!reply.text().contains("\"/livez\""));
    assert_eq!(server.get("/docs/nothing.js").await.status, 404);
}

#[actix_web::test]
async fn a_method_that_a_path_has_not_is_told_which_it_has() {
    let server = TestApp::start(&[]).await;
    for (method, path, allowed) in [
        ("PUT", "/pbx-api/cdr", "POST"),
        ("DELETE", "/livez", "GET"),
        ("TRACE", "/pbx-api/last-call-id", "GET"),
        ("BREW", "/docs/errors", "GET"),
    ] {
        let reply = server
            .send(Method::from_bytes(method.as_bytes()).unwrap(), path, &[], "")
            .await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(
            reply.json()["error"]["message"],
            format!("Cannot {method} {path}")
        );
    }
    assert_eq!(server.send(Method::PUT, "/nowhere", &[], "").await.status, 404);
}
