//! Where recordings are, and where links lead.

use super::*;

#[test]
fn recordings_are_on_a_server_or_in_a_directory() {
    let path = |text: &str| {
        let text = format!("[pac.main]\naddress = 'a:1'\nrecording_path = '{text}'\n");
        let settings = Place::new().file("config/local.toml", &text).load();
        settings.map(|settings| settings.default_pac().unwrap().1.recording_path.clone().unwrap())
    };
    let server = HttpUrl::try_from("https://pbx.example/rec".to_owned()).unwrap();
    assert_eq!(
        path("https://pbx.example/rec/").unwrap(),
        RecordingPath::Server(server)
    );
    for directory in ["/srv/rec", "/srv/Записи, все/"] {
        assert_eq!(
            path(directory).unwrap(),
            RecordingPath::Directory(directory.into())
        );
    }
    for bad in [
        "rec",
        "./rec",
        "../rec",
        "~/rec",
        "C:\\rec",
        "file:///rec",
        "pbx.example/rec",
        "https://",
        " /rec",
    ] {
        let error = path(bad).unwrap_err().to_string();
        assert!(
            error.contains("must be the http:// or https:// address of a server"),
            "{error}"
        );
    }
}

#[test]
fn links_lead_to_the_public_address_or_else_to_where_the_gateway_listens() {
    let root = |variables: &[(&str, &str)]| Place::new().env(variables).load().unwrap().http.link_root();
    assert_eq!(root(&[]), "http://127.0.0.1:3000");
    let prefix = ("API_PREFIX", "/api/");
    assert_eq!(
        root(&[prefix, ("MEGE__HTTP__ADDRESS", "::1")]),
        "http://[::1]:3000/api"
    );
    let public = ("MEGE__HTTP__PUBLIC_URL", "https://mege.example/x/");
    assert_eq!(root(&[prefix, public]), "https://mege.example/x/api");
}

#[test]
fn links_to_a_directory_need_an_address_that_clients_reach() {
    let mut settings = Place::new()
        .env(&[("PAC_HOST", "a:1"), ("PBX_RECORDING_PATH", "/srv/rec")])
        .load()
        .unwrap();
    settings.validate().unwrap();
    settings.http.address = std::net::Ipv6Addr::UNSPECIFIED.into();
    let error = settings.validate().unwrap_err().to_string();
    assert!(
        error.contains("http.public_url: is missing: links to the recordings of pac.main need it"),
        "{error}"
    );
    settings.http.public_url = HttpUrl::try_from("https://mege.example".to_owned()).ok();
    settings.validate().unwrap();
}
