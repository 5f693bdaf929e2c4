//! Recordings in a directory, over real sockets: by their links, and by nothing else.

mod names;

use awc::http::Method;
use mege_gateway::actor::Class;
use mege_gateway::ledger::key::CreatedKey;
use mege_gateway::recordings::{LinkSignature, RecordingId};

use crate::access::make;
use crate::support::app::{LIMIT, Reply, TestApp};
use crate::support::eventually;
use crate::support::recorded::{Recordings, links, store};

const FILE: &str = "110/[Name, N]_110-7_20241115091831(196).wav";

/// Headers of a request, and the status, the body and the range of its reply.
type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, &'a str);

/// Asks for what comes after the origin in `link`, or for a path as it is.
async fn ask(app: &TestApp, method: Method, link: &str, headers: &[(&str, &str)]) -> Reply {
    let path = link.strip_prefix(&app.origin).unwrap_or(link);
    app.send(method, path, headers, "").await
}

async fn get(app: &TestApp, link: &str, headers: &[(&str, &str)]) -> Reply {
    ask(app, Method::GET, link, headers).await
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply
        .headers
        .get(name)
        .map_or("", |value| value.to_str().expect("ASCII"))
}

/// Status and code of a failure; it tells nobody where files are.
fn refusal(reply: &Reply) -> (u16, String) {
    assert_eq!(header(reply, "content-type"), "application/problem+json");
    for secret in ["/recordings/110", "tmp", "20241115091831", "outside"] {
        assert!(!reply.body.contains(secret), "{}", reply.body);
    }
    let code = reply.json()["code"].as_str().expect("a code").to_owned();
    (reply.status.as_u16(), code)
}

/// A link made with the gateway's own key.
fn signed(app: &TestApp, id: &str, expires: Option<u64>) -> String {
    let key = app
        .integrations
        .stores
        .keys
        .link_key()
        .expect("the ledger was read");
    let id: RecordingId = id.parse().expect("an id");
    format!(
        "/v1/recordings/{id}/media?{}",
        LinkSignature::sign(&key, &id, expires)
    )
}

#[actix_rt::test]
async fn a_file_comes_whole_in_parts_and_by_conditions() {
    let recordings = Recordings::new();
    recordings.put(FILE, "0123456789");
    let app = recordings.gateway(&[]).await;
    store(&app, [FILE], false).await;
    let [link] = links(&app).await.try_into().expect("one link");

    let whole = get(&app, &link, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.body.as_str()), (200, "0123456789"));
    for (name, value) in [
        ("content-type", "audio/wav"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private"),
        ("x-content-type-options", "nosniff"),
        // What a browser's own player needs, and no more.
        (
            "content-security-policy",
            "default-src 'none'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ] {
        assert_eq!(header(&whole, name), value, "{name}");
    }
    let etag = header(&whole, "etag").to_owned();
    let modified = header(&whole, "last-modified").to_owned();
    assert!(etag.starts_with('"') && !modified.is_empty(), "{etag} {modified}");

    let head = ask(&app, Method::HEAD, &link, &[]).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    for name in [
        "content-length",
        "content-type",
        "etag",
        "last-modified",
        "content-disposition",
        "accept-ranges",
    ] {
        assert_eq!(header(&head, name), header(&whole, name), "{name}");
    }

    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    let table: [Case<'_>; 15] = [
        (&[("range", "bytes=2-4")], 206, "234", "bytes 2-4/10"),
        (&[("range", "bytes=7-")], 206, "789", "bytes 7-9/10"),
        (&[("range", "bytes=7-100")], 206, "789", "bytes 7-9/10"),
        (&[("range", "bytes=-3")], 206, "789", "bytes 7-9/10"),
        (&[("range", "bytes=0-")], 206, "0123456789", "bytes 0-9/10"),
        (&[("range", "bytes=10-")], 416, "", "bytes */10"),
        (&[("range", "seconds=1-2")], 200, "0123456789", ""),
        (
            &[("range", "bytes=2-4"), ("if-range", &etag)],
            206,
            "234",
            "bytes 2-4/10",
        ),
        (
            &[("range", "bytes=2-4"), ("if-range", &modified)],
            206,
            "234",
            "bytes 2-4/10",
        ),
        (
            &[("range", "bytes=2-4"), ("if-range", "\"another\"")],
            200,
            "0123456789",
            "",
        ),
        (
            &[("range", "bytes=2-4"), ("if-range", old)],
            200,
            "0123456789",
            "",
        ),
        (&[("if-none-match", &etag)], 304, "", ""),
        (&[("if-modified-since", &modified)], 304, "", ""),
        (&[("if-match", "\"another\"")], 412, "", ""),
        (&[("if-unmodified-since", old)], 412, "", ""),
    ];
    for (headers, status, body, range) in table {
        let reply = get(&app, &link, headers).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.as_str()),
            (status, body),
            "{headers:?}"
        );
        assert_eq!(header(&reply, "content-range"), range, "{headers:?}");
    }
    let idle = || (app.integrations.recordings["main"].in_flight(Class::Read) == 0).then_some(());
    eventually("everything was closed", LIMIT, async || idle()).await;
}

#[actix_rt::test]
async fn an_empty_file_has_no_parts() {
    let recordings = Recordings::new();
    recordings.put(FILE, "");
    let app = recordings.gateway(&[]).await;
    store(&app, [FILE], false).await;
    let [link] = links(&app).await.try_into().expect("one link");
    let whole = get(&app, &link, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.body.as_str()), (200, ""));
    for range in ["bytes=0-", "bytes=-3"] {
        let part = get(&app, &link, &[("range", range)]).await;
        assert_eq!(
            (part.status.as_u16(), header(&part, "content-range")),
            (416, "bytes */0"),
            "{range}"
        );
    }
}

#[actix_rt::test]
async fn nothing_opens_without_the_link_that_was_made_for_it() {
    let recordings = Recordings::new();
    recordings.put(FILE, "one");
    recordings.put("110/2.wav", "two");
    let app = recordings.gateway(&[]).await;
    store(&app, [FILE, "110/2.wav"], false).await;
    let [one, two] = links(&app).await.try_into().expect("two links");
    assert_eq!(get(&app, &one, &[]).await.body, "one");
    assert_eq!(one, format!("{}{}", app.origin, signed(&app, "main.1", None)));

    let (path, query) = one.split_once('?').expect("a query");
    // While there are no keys, who is on this machine needs nothing.
    assert_eq!(get(&app, path, &[]).await.body, "one");
    let listener = make(&app, "listener", &["recordings:read"], None).await;
    let foreigner = make(&app, "foreigner", &["recordings:read"], Some(&["office"])).await;
    let reader = make(&app, "reader", &["cdr:read"], None).await;
    eventually("there are keys", LIMIT, async || {
        (get(&app, path, &[]).await.status == 401).then_some(())
    })
    .await;
    let (_, other) = two.split_once('?').expect("a query");
    let invalid = (403, "link_invalid".to_owned());
    let unknown = (404, "not_found".to_owned());
    let expired = (410, "link_expired".to_owned());
    let nobody = (401, "unauthenticated".to_owned());
    for (link, expected) in [
        (path.to_owned(), &nobody),
        (format!("{path}?expires=99999999999"), &nobody),
        (format!("{path}?{other}"), &invalid),
        (format!("{path}?{query}&expires=99999999999"), &invalid),
        (format!("{path}?{query}x"), &invalid),
        (format!("{path}?signature="), &invalid),
        (format!("{path}?{query}&{query}"), &nobody),
        (signed(&app, "main.1", Some(1)), &expired),
        (
            signed(&app, "main.2", Some(1)).replace("main.2", "main.1"),
            &invalid,
        ),
        (signed(&app, "main.3", None), &unknown),
        (signed(&app, "office.1", None), &unknown),
        (
            signed(&app, "main.1", None).replace("main.1", "main.01"),
            &unknown,
        ),
        (signed(&app, "main.1", None).replace("main.1", "main"), &unknown),
        (
            signed(&app, "main.1", None).replace("main.1", "main.1%2f..%2f..%2fetc"),
            &unknown,
        ),
    ] {
        assert_eq!(refusal(&get(&app, &link, &[]).await), *expected, "{link}");
    }
    assert_eq!(
        get(&app, &signed(&app, "main.1", Some(99_999_999_999)), &[])
            .await
            .body,
        "one"
    );
    // A key does as well, where it is good for this.
    let by_key = async |id: &str, key: &CreatedKey| {
        let path = format!("/v1/recordings/{id}/media");
        get(&app, &path, &[("x-api-key", key.secret.expose())]).await
    };
    assert_eq!(by_key("main.1", &listener).await.body, "one");
    let lacking = (403, "scope_missing".to_owned());
    assert_eq!(refusal(&by_key("main.1", &reader).await), lacking);
    assert_eq!(refusal(&by_key("main.3", &listener).await), unknown);
    // Whose PBX it is not cannot tell it from one that is not there.
    let [mut foreign, mut missing] = [
        by_key("main.1", &foreigner).await,
        by_key("main.3", &foreigner).await,
    ]
    .map(|reply| {
        assert_eq!(refusal(&reply), unknown);
        reply.json()
    });
    foreign["request_id"].take();
    missing["request_id"].take();
    assert_eq!(foreign, missing);
    // Whatever else a program hangs on a link does not matter.
    assert_eq!(get(&app, &format!("{one}&utm_source=crm"), &[]).await.body, "one");
    // A known path has its methods.
    let put = ask(&app, Method::PUT, &one, &[]).await;
    assert_eq!((put.status.as_u16(), header(&put, "allow")), (405, "GET, HEAD"));
}

#[actix_rt::test]
async fn a_file_that_is_not_there_is_told_from_one_that_was_archived() {
    let recordings = Recordings::new();
    recordings.put("110/kept.wav", "kept");
    let app = recordings.gateway(&[]).await;
    store(&app, ["110/kept.wav", "110/gone.wav"], true).await;
    let [kept, gone] = links(&app).await.try_into().expect("two links");
    assert_eq!(get(&app, &kept, &[]).await.body, "kept");
    assert_eq!(
        refusal(&get(&app, &gone, &[]).await),
        (404, "recording_archived".to_owned())
    );
    let head = ask(&app, Method::HEAD, &gone, &[]).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (404, ""));
    store(&app, ["110/kept.wav", "110/gone.wav"], false).await;
    assert_eq!(
        refusal(&get(&app, &gone, &[]).await),
        (404, "recording_file_missing".to_owned())
    );
}

#[actix_rt::test]
async fn without_its_directory_a_gateway_serves_the_rest_and_says_so() {
    let recordings = Recordings::new();
    std::fs::remove_dir_all(recordings.path("recordings")).expect("a directory");
    let app = recordings.gateway(&[]).await;
    store(&app, [FILE], false).await;
    let [link] = links(&app).await.try_into().expect("one link");
    let reply = get(&app, &link, &[]).await;
    assert_eq!(refusal(&reply), (503, "recordings_unavailable".to_owned()));
    assert_eq!(reply.retry_after, Some(5));
    let status = app.status_of("recordings.main").await;
    assert_eq!(status["usable"], false);
    assert_eq!(
        status["detail"]["error"],
        "the directory cannot be used: it is not there"
    );

    std::fs::create_dir_all(recordings.path("recordings/110")).expect("a directory");
    recordings.put(FILE, "there");
    assert_eq!(get(&app, &link, &[]).await.body, "there");
    eventually("it can be used", LIMIT, async || {
        (app.status_of("recordings.main").await["usable"] == true).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn links_begin_with_the_public_address_and_the_prefix_and_end_in_time() {
    let recordings = Recordings::new();
    recordings.put(FILE, "one");
    let variables = [
        ("API_PREFIX", "api"),
        ("MEGE__HTTP__PUBLIC_URL", "https://mege.example/x"),
        ("MEGE__HTTP__LINK_LIFETIME_S", "3600"),
    ];
    let app = recordings.gateway(&variables).await;
    store(&app, [FILE], false).await;
    let [link] = links(&app).await.try_into().expect("one link");
    let path = link
        .strip_prefix("https://mege.example/x")
        .expect("the public address");
    assert!(
        path.starts_with("/api/v1/recordings/main.1/media?signature=1."),
        "{path}"
    );
    assert_eq!(get(&app, path, &[]).await.body, "one");
    let (_, expires) = path.split_once("&expires=").expect("an end");
    let left = expires.parse::<i64>().expect("seconds") - jiff::Timestamp::now().as_second();
    assert!((3_500..=3_600).contains(&left), "{left}");
}
