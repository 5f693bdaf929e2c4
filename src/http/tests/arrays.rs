//! The array of `POST cdr`, whole or broken off.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpServer, web};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::support::{raw, send};
use crate::cdr::{CdrPages, LegacyRow};
use crate::database::StoreError;
use crate::http::recording_links::RecordingLinks;
use crate::http::routes::array_of;
use crate::settings::HttpUrl;

/// Pages of so many rows each, numbered through; the first one is read at once.
fn pages(sizes: impl IntoIterator<Item = Result<usize, StoreError>>) -> CdrPages {
    let mut next = 0;
    let mut all = sizes.into_iter().map(|size| {
        size.map(|size| {
            next += size;
            (next - size..next).map(row).collect::<Vec<_>>()
        })
    });
    let first = all
        .next()
        .map_or_else(Vec::new, |page| page.expect("the first page is read"));
    let (sender, rest) = mpsc::channel(16);
    for page in all {
        sender.try_send(page).unwrap();
    }
    CdrPages { first, rest }
}

fn row(i: usize) -> LegacyRow {
    let at = |second: i64| Timestamp::from_second(1_770_000_000 + second).unwrap();
    LegacyRow {
        call_history_id: Uuid::from_u128(1),
        cdr_id: Uuid::from_u128(i as u128),
        started_at: at(0),
        answered_at: None,
        ended_at: at(8),
        source_number: None,
        destination_number: None,
        id_recording: Some(5),
        recording_url: Some("110/a b.wav".to_owned()),
    }
}

/// A server that answers with these pages.
fn answering(pages: impl Fn() -> CdrPages + Send + Sync + 'static) -> SocketAddr {
    let pages = Arc::new(pages);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(move || {
        let pages = Arc::clone(&pages);
        let url = HttpUrl::try_from("https://r.example".to_owned()).unwrap();
        let links = Arc::new(RecordingLinks::Server(url));
        let answer = move || {
            let array = array_of(pages(), Arc::clone(&links), None, Duration::from_millis(200));
            async move { array }
        };
        App::new().default_service(web::to(answer))
    });
    actix_web::rt::spawn(server.workers(1).listen(listener).unwrap().run());
    address
}

#[actix_web::test]
async fn cdrs_come_as_one_array_however_many_pages_they_are() {
    let table: [(&'static [usize], usize); 6] = [
        (&[], 0),
        (&[1], 1),
        (&[2, 3], 5),
        (&[0, 2], 2),
        (&[1, 0, 1], 2),
        (&[200, 200, 7], 407),
    ];
    for (sizes, total) in table {
        let address = answering(move || pages(sizes.iter().map(|size| Ok(*size))));
        let answer = send(address, Method::POST, "/", &[], "").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        let rows = answer.json();
        assert_eq!(rows.as_array().unwrap().len(), total);
        for (i, found) in rows.as_array().unwrap().iter().enumerate() {
            assert_eq!(found["cdr_id"], json!(row(i).cdr_id));
            assert_eq!(found["recording_url"], "https://r.example/110/a%20b.wav");
        }
    }
}

/// Whether the array was ended as one, or cut off.
async fn was_cut_off(pages: impl Fn() -> CdrPages + Send + Sync + 'static) -> bool {
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = raw(answering(pages), request).await;
    // Broken off before anything left, there is not even a head.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 200 "),
        "{answer}"
    );
    !answer.ends_with("0\r\n\r\n")
}

#[actix_web::test]
async fn an_array_that_breaks_off_is_never_taken_for_a_short_one() {
    assert!(!was_cut_off(|| pages([Ok(2), Ok(2)])).await);
    let broken = || StoreError::Unavailable("gone".to_owned());
    assert!(was_cut_off(move || pages([Ok(2), Ok(2), Err(broken())])).await);
}

#[actix_web::test]
async fn an_array_whose_pages_stop_coming_is_cut_off_at_the_deadline() {
    let (keep, hang) = mpsc::channel(1);
    let hang = std::sync::Mutex::new(Some(hang));
    let pages = move || CdrPages {
        first: vec![row(0)],
        rest: hang.lock().unwrap().take().expect("asked once"),
    };
    assert!(was_cut_off(pages).await);
    drop(keep);
}
