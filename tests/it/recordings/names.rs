//! What 3CX may call a file, and what somebody else may.

use std::os::unix::fs::symlink;

use percent_encoding::percent_decode_str;

use super::{get, header, refusal};
use crate::support::recorded::{Recordings, links, store};

/// The name in a `Content-Disposition`, by RFC 5987.
fn name_of(disposition: &str) -> String {
    let (_, name) = disposition
        .split_once("filename*=UTF-8''")
        .expect("an exact name");
    assert!(
        name.bytes()
            .all(|b| b.is_ascii_graphic() && !b";\"',()[]{}<>@:\\/?= ".contains(&b)),
        "{name}"
    );
    percent_decode_str(name)
        .decode_utf8()
        .expect("UTF-8")
        .into_owned()
}

/// The other name, for clients that know only RFC 2616: in quotes, and with nothing in it that they read otherwise.
fn plain_name_of(disposition: &str) -> &str {
    let (_, rest) = disposition.split_once("filename=\"").expect("a plain name");
    let (name, _) = rest.split_once('"').expect("an end");
    assert!(
        name.bytes()
            .all(|b| b == b' ' || b.is_ascii_graphic() && !b"\\%".contains(&b)),
        "{name}"
    );
    name
}

#[actix_rt::test]
async fn whatever_a_file_is_called_its_link_part_and_header_work() {
    let longest = format!("{}.wav", "я".repeat(123));
    assert_eq!(longest.len(), 250);
    let names = [
        "[Name]_110-+70000000000_20241115091831(196).wav",
        "[Иванова, Мария]_110-7_20260224201047(789).wav",
        "a b.wav",
        "a+b.wav",
        "[a],(b){c}.wav",
        "100%.wav",
        "%41.wav",
        "%2e%2e%2fsecret.wav",
        "a#b?c&d;e=f.wav",
        "quotes\"and'this`.wav",
        "back\\slash.wav",
        "line\nend.wav",
        "..wav",
        "...",
        "-rf.wav",
        "*~$!|<>^.wav",
        // The same letter in one character and in two: two files.
        "\u{439}.wav",
        "\u{438}\u{306}.wav",
        "日本語 🎧.wav",
        &longest,
        "without extension",
        "page.html",
        "sound.MP3",
    ];
    let recordings = Recordings::new();
    let paths: Vec<String> = names.iter().map(|name| format!("110/{name}")).collect();
    for path in &paths {
        recordings.put(path, format!("<{path}>"));
    }
    let app = recordings.gateway(&[]).await;
    store(&app, paths.iter().map(String::as_str), false).await;
    let links = links(&app).await;
    assert_eq!(links.len(), names.len());
    for ((name, path), link) in names.iter().zip(&paths).zip(&links) {
        // Nothing in a link depends on the name.
        assert!(
            link.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b":/.?=_-".contains(&b)),
            "{link}"
        );
        let whole = get(&app, link, &[]).await;
        assert_eq!(
            (whole.status.as_u16(), whole.body.as_str()),
            (200, format!("<{path}>").as_str()),
            "{name}"
        );
        let part = get(&app, link, &[("range", "bytes=1-4")]).await;
        assert_eq!(
            (part.status.as_u16(), part.body.as_str()),
            (206, "110/"),
            "{name}"
        );

        let disposition = header(&whole, "content-disposition");
        assert_eq!(name_of(disposition), *name);
        assert_eq!(
            plain_name_of(disposition).chars().count(),
            name.chars().count(),
            "{disposition}"
        );
        let kind = header(&whole, "content-type");
        let sound = match kind {
            "audio/wav" | "audio/mpeg" => true,
            "application/octet-stream" => false,
            other => panic!("{name}: {other}"),
        };
        // A page of somebody else's would be a page of the gateway's.
        assert_eq!(disposition.starts_with("inline;"), sound, "{name}: {disposition}");
        assert_eq!(
            sound,
            name.to_lowercase().ends_with(".wav") || name.ends_with(".MP3"),
            "{name}"
        );
    }
}

#[actix_rt::test]
async fn no_row_opens_anything_outside_the_directory() {
    let recordings = Recordings::new();
    std::fs::write(recordings.path("secret.wav"), "outside").expect("a file");
    let root = recordings.path("recordings");
    let secret = recordings.path("secret.wav");
    let secret = secret.to_str().expect("UTF-8");
    symlink("../../secret.wav", root.join("110/out.wav")).expect("a link");
    symlink(secret, root.join("110/absolute.wav")).expect("a link");
    symlink("../..", root.join("110/folder")).expect("a link");
    symlink("nothing", root.join("110/dangling.wav")).expect("a link");
    symlink("inside.wav", root.join("110/link.wav")).expect("a link");
    recordings.put("110/inside.wav", "inside");
    let outside = [
        "",
        "/",
        ".",
        "..",
        "110",
        "110/",
        "../secret.wav",
        "110/../../secret.wav",
        "/../secret.wav",
        "%2e%2e/secret.wav",
        "%252e%252e%252fsecret.wav",
        "..%2fsecret.wav",
        "..\\secret.wav",
        "110/..\\..\\secret.wav",
        secret,
        "file:///etc/passwd",
        "/etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/environ",
        "110/inside.wav\0",
        "../secret.wav\0.wav",
        "110/out.wav",
        "110/absolute.wav",
        "110/folder/secret.wav",
        "110/dangling.wav",
    ];
    let app = recordings.gateway(&[]).await;
    store(&app, outside.into_iter().chain(["110/link.wav"]), false).await;
    let mut links = links(&app).await;
    let inside = links.pop().expect("the last link");
    assert_eq!(get(&app, &inside, &[]).await.body, "inside");
    assert_eq!(links.len(), outside.len());
    for (path, link) in outside.iter().zip(&links) {
        let refused = refusal(&get(&app, link, &[]).await);
        assert_eq!(refused, (404, "recording_file_missing".to_owned()), "{path:?}");
    }
    // Neither does a path of a request.
    for path in [
        "/v1/recordings/../../secret.wav",
        "/v1/recordings/..%2f..%2fsecret.wav/media",
        "/v1/recordings/main.1/media/../../../../secret.wav",
        "/v1/recordings/%2e%2e/media",
        "/v1/recordings/main.1%00/media",
        "/v1/recordings//media",
    ] {
        let reply = get(&app, path, &[]).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.body.contains("outside"), "{path}");
    }
}
