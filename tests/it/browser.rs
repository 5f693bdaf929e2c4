//! What people see, in a real browser.

use awc::http::Method;

use crate::support::app::TestApp;
use crate::support::browser::Browser;
use crate::support::recorded::{Recordings, links, store};

/// Samples in a second, of 16 bits each, and the seconds of a recording.
const RATE: u32 = 48_000;
const SECONDS: u32 = 600;

/// Silence as WAV: a file of 57 MB, of which the disk holds the head.
fn put_silence(recordings: &Recordings, path: &str) {
    let bytes = RATE * SECONDS * 2;
    let mut head = Vec::new();
    head.extend(b"RIFF");
    head.extend((bytes + 36).to_le_bytes());
    head.extend(b"WAVEfmt ");
    head.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    head.extend([1, 0, 1, 0]);
    head.extend(RATE.to_le_bytes());
    head.extend((RATE * 2).to_le_bytes());
    head.extend([2, 0, 16, 0]);
    head.extend(b"data");
    head.extend(bytes.to_le_bytes());
    recordings.put(path, &head);
    let file = std::fs::File::options()
        .write(true)
        .open(recordings.path("recordings").join(path));
    let whole = u64::from(bytes) + head.len() as u64;
    file.expect("the file").set_len(whole).expect("room for it");
}

/// How many parts of recordings were served.
async fn parts(app: &TestApp) -> u64 {
    let metrics = app.send(Method::GET, "/metrics", &[], "").await.body;
    let lines = metrics.lines().filter(|line| {
        line.starts_with("mege_http_requests_total")
            && line.contains("/media")
            && line.contains("status=\"206\"")
    });
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[actix_rt::test]
async fn a_link_plays_and_seeks() {
    const FILE: &str = "110/[Иванова, Мария]_110-7_20260224201047(789).wav";
    let recordings = Recordings::new();
    put_silence(&recordings, FILE);
    let app = recordings.gateway(&[]).await;
    store(&app, [FILE], false).await;
    let [link] = links(&app).await.try_into().expect("one link");

    let browser = Browser::start().await;
    // By itself, as from a mail.
    browser.client.goto(&link).await.expect("a player");
    browser
        .until("return document.querySelector('video').currentTime > 0.2")
        .await;

    // In a page of another origin, as a CRM's is.
    browser.show("<audio controls></audio>").await;
    let load = "window.audio = document.querySelector('audio'); audio.preload = 'metadata'; \
                audio.onseeked = () => window.seeked = true; audio.src = arguments[0]; audio.play();";
    browser.run(load, vec![link.into()]).await;
    browser
        .until("return audio.error !== null || audio.currentTime > 0.2")
        .await;
    let error = browser
        .run("return audio.error && audio.error.message", Vec::new())
        .await;
    assert!(error.is_null(), "{error}");
    let duration = browser.run("return audio.duration", Vec::new()).await;
    assert_eq!(duration.as_f64(), Some(f64::from(SECONDS)));

    let before = parts(&app).await;
    browser.run("audio.currentTime = 300;", Vec::new()).await;
    browser
        .until("return window.seeked === true && audio.currentTime > 300.2")
        .await;
    let position = browser.run("return audio.currentTime", Vec::new()).await;
    assert!(
        position.as_f64().is_some_and(|position| position < 330.0),
        "{position}"
    );
    assert!(
        parts(&app).await > before,
        "the middle was asked for by its range"
    );
    browser.client.clone().close().await.expect("an end in order");
}

#[actix_rt::test]
async fn the_documents_are_read_without_a_request_to_another_host() {
    let app = TestApp::start(&[]).await;
    let browser = Browser::start().await;
    for (page, operation, operations) in [
        ("/docs", "/v1/recordings/{id}/media", 10),
        ("/pbx-api", "/pbx-api/make-call", 3),
    ] {
        browser
            .client
            .goto(&format!("{}{page}", app.origin))
            .await
            .expect("a page");
        let shown = format!(
            "const paths = [...document.querySelectorAll('.opblock-summary-path')].map(path => path.dataset.path); \
             return paths.includes('{operation}') && paths.length >= {operations};"
        );
        browser.until(&shown).await;
        // The operation opens, with its schema and examples.
        browser
            .run(
                "document.querySelector('.opblock-summary-control').click()",
                Vec::new(),
            )
            .await;
        browser
            .until("return document.querySelector('.responses-table') !== null")
            .await;
        let asked = "return performance.getEntriesByType('resource').map(entry => entry.name)";
        let asked = browser.run(asked, Vec::new()).await;
        let asked = asked.as_array().expect("what was asked for");
        assert!(asked.len() >= 4, "{asked:?}");
        for url in asked {
            let url = url.as_str().expect("an address");
            assert!(url.starts_with(&app.origin) || url.starts_with("data:"), "{url}");
        }
        // Nor was it kept from one by its policy.
        let kept = "const observer = new ReportingObserver(() => {}, { types: ['csp-violation'], buffered: true }); \
                    observer.observe(); return observer.takeRecords().map(report => report.body.blockedURL)";
        assert_eq!(
            browser.run(kept, Vec::new()).await,
            serde_json::json!([]),
            "{page}"
        );
    }
    browser.client.clone().close().await.expect("an end in order");
}
