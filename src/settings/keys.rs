//! Every key with what it may hold: the one place where ranges are.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::{HttpUrl, RecordingPath, StoreUrl, auth};
use crate::telephony::{DialplanContext, TrunkName};

/// What a key may hold.
#[derive(Debug, Clone)]
enum Rule {
    Flag,
    Whole(RangeInclusive<u64>),
    Text(&'static str, fn(&str) -> bool),
    Texts(&'static str, fn(&str) -> bool),
    /// Anything else, read by a function of its own.
    Own(&'static str, fn(&Value) -> Option<Value>),
}

/// A key of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Its path; `*` stands for an integration's name.
    pub(super) path: &'static str,
    /// Whether its value is never shown.
    pub(super) secret: bool,
    /// Whether its section is useless without it.
    pub(super) required: bool,
    rule: Rule,
}

impl Key {
    const fn new(path: &'static str, rule: Rule) -> Self {
        Self {
            path,
            secret: false,
            required: false,
            rule,
        }
    }

    const fn whole(path: &'static str, range: RangeInclusive<u64>) -> Self {
        Self::new(path, Rule::Whole(range))
    }

    const fn text(path: &'static str, allowed: &'static str, check: fn(&str) -> bool) -> Self {
        Self::new(path, Rule::Text(allowed, check))
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What is allowed, in words.
    pub(super) fn allowed(&self) -> String {
        match &self.rule {
            Rule::Flag => "true or false".to_owned(),
            Rule::Whole(range) => format!("a whole number from {} to {}", range.start(), range.end()),
            Rule::Text(allowed, _) | Rule::Texts(allowed, _) | Rule::Own(allowed, _) => (*allowed).to_owned(),
        }
    }

    /// The value in the key's own type, if it is allowed. Flags, numbers and lists may come as text, as variables have them.
    pub(super) fn accept(&self, value: &Value) -> Option<Value> {
        match &self.rule {
            Rule::Flag => match value.as_str() {
                Some(text) => text.trim().parse::<bool>().ok().map(Value::from),
                None => value.as_bool().map(Value::from),
            },
            Rule::Whole(range) => {
                let number = match value.as_str() {
                    Some(text) => text.trim().parse().ok()?,
                    None => value.as_u64()?,
                };
                range.contains(&number).then(|| number.into())
            }
            Rule::Own(_, read) => read(value),
            Rule::Text(_, check) => {
                let text = value.as_str()?;
                check(text).then(|| text.into())
            }
            Rule::Texts(_, check) => {
                let texts: Vec<&str> = match value.as_str() {
                    Some(text) => text
                        .split(',')
                        .map(str::trim)
                        .filter(|text| !text.is_empty())
                        .collect(),
                    None => value
                        .as_array()?
                        .iter()
                        .map(Value::as_str)
                        .collect::<Option<_>>()?,
                };
                (texts.len() <= MAX_LIST && texts.iter().all(|text| check(text))).then(|| texts.into())
            }
        }
    }

    /// The key that `path` belongs to.
    pub(super) fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| matches(key.path, path))
    }

    /// Whether `path` is a section: keys begin with it.
    pub(super) fn is_section(path: &str) -> bool {
        let depth = path.split('.').count();
        KEYS.iter().any(|key| {
            let head: Vec<&str> = key.path.split('.').take(depth).collect();
            head.len() < key.path.split('.').count() && matches(&head.join("."), path)
        })
    }
}

/// Whether `path` is what `pattern` means.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('.'), path.split('.'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(name)) if is_name(name) => {}
            (Some(expected), Some(part)) if expected == part => {}
            _ => return false,
        }
    }
}

/// An integration's name, which is part of metric labels and of `/status`.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}

const MAX_LIST: usize = 100;

const IP: &str = "an IP address such as 127.0.0.1, 0.0.0.0 or ::";
const PREFIX: &str =
    "up to 100 letters, digits, dots, dashes, underscores and single slashes, with no part . or ..";
const ORIGINS: &str =
    "up to 100 origins such as https://crm.example or http://localhost:8080, without a path";
const FILTER: &str =
    "a level (error, warn, info, debug, trace) or directives such as info,mege_gateway=debug";
const STORE: &str = "sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE, with sslmode=disable, prefer, require or \
     verify-full, and with that sslrootcert=FILE, where encryption matters";
const URL: &str =
    "http://HOST or https://HOST, with a port and a path if need be, without credentials, query or fragment";
const RECORDINGS: &str = "the http:// or https:// address of a server, with a path if need be, or the absolute path of a directory";
const HOST: &str = "a host name or an IP address, without scheme and port";
const USER: &str = "1 to 64 letters, digits, dots, dashes or underscores";
const APP_PREFIX: &str = "1 to 40 letters, digits, dots, dashes or underscores";
const NAME: &str = "1 to 79 letters, digits, dots, dashes or underscores";
const ADDRESS: &str = "HOST:PORT, without a scheme";
const SOME_TEXT: &str = "text that is not empty, without control characters";

/// All keys. `config/default.toml` documents exactly these, and the settings' types have exactly these fields.
pub(super) static KEYS: &[Key] = &[
    Key::text("http.address", IP, |text| text.parse::<IpAddr>().is_ok()),
    Key::whole("http.port", 0..=65_535),
    Key::text("http.scheme", "http or https", |text| {
        matches!(text, "http" | "https")
    }),
    Key::text("http.tls_certificate", SOME_TEXT, is_some_text),
    Key::text("http.tls_key", SOME_TEXT, is_some_text),
    Key::text("http.prefix", PREFIX, is_prefix),
    Key::new("http.allowed_origins", Rule::Texts(ORIGINS, is_origin)),
    Key::whole("http.timeout_ms", 100..=600_000),
    Key::whole("http.drain_ms", 0..=600_000),
    Key::whole("http.shutdown_ms", 100..=600_000),
    Key::text("http.public_url", URL, |text| {
        HttpUrl::try_from(text.to_owned()).is_ok()
    }),
    Key::whole("http.link_lifetime_s", 0..=315_360_000),
    Key::text("log.filter", FILTER, |text| {
        !text.trim().is_empty() && EnvFilter::builder().parse(text).is_ok()
    }),
    Key::text("log.format", "text or json", |text| {
        matches!(text, "text" | "json")
    }),
    Key::new("auth.trust", Rule::Own(auth::TRUST, auth::accept_trust)),
    Key::whole("auth.rate.per_key_per_s", 1..=1_000_000),
    Key::whole("auth.rate.per_address_per_s", 1..=1_000_000),
    Key::whole("audit.keep_days", 1..=36_500),
    Key::text("store.url", STORE, |text| {
        StoreUrl::try_from(text.to_owned()).is_ok()
    })
    .secret(),
    Key::whole("store.connections", 1..=64),
    Key::whole("store.timeout_ms", 100..=600_000),
    Key::whole("store.limits.in_flight", 1..=64),
    Key::whole("store.limits.waiting", 0..=10_000),
    Key::whole("store.limits.wait_ms", 0..=60_000),
    Key::new("cdr.late_rows", Rule::Flag),
    Key::text("asterisk.*.host", HOST, is_host).required(),
    Key::whole("asterisk.*.port", 1..=65_535),
    Key::text("asterisk.*.user", USER, |text| is_plain(text, 64)).required(),
    Key::text("asterisk.*.password", SOME_TEXT, is_some_text)
        .secret()
        .required(),
    Key::text("asterisk.*.app_prefix", APP_PREFIX, |text| is_plain(text, 40)),
    Key::text("asterisk.*.trunk", NAME, |text| {
        TrunkName::try_from(text.to_owned()).is_ok()
    })
    .required(),
    Key::text("asterisk.*.context", NAME, |text| {
        DialplanContext::try_from(text.to_owned()).is_ok()
    })
    .required(),
    Key::whole("asterisk.*.ring_timeout_s", 1..=600),
    Key::whole("asterisk.*.request_timeout_ms", 100..=60_000),
    Key::whole("asterisk.*.max_live_calls", 1..=100_000),
    Key::whole("asterisk.*.trunk_limits.live_calls", 1..=100_000),
    Key::whole("asterisk.*.trunk_limits.calls_per_s", 1..=1_000),
    Key::whole("asterisk.*.limits.in_flight", 1..=64),
    Key::whole("asterisk.*.limits.waiting", 0..=10_000),
    Key::whole("asterisk.*.limits.wait_ms", 0..=60_000),
    Key::text("pac.*.address", ADDRESS, is_address).required(),
    Key::whole("pac.*.extension_length", 1..=10),
    Key::text("pac.*.recording_path", RECORDINGS, |text| {
        RecordingPath::try_from(text.to_owned()).is_ok()
    }),
    Key::whole("pac.*.request_timeout_ms", 100..=600_000),
    Key::whole("pac.*.max_reply_bytes", 65_536..=67_108_864),
    Key::text("pac.*.jwt.key", SOME_TEXT, is_some_text)
        .secret()
        .required(),
    Key::text("pac.*.jwt.client_id", SOME_TEXT, is_some_text).required(),
    Key::text("pac.*.jwt.issuer", SOME_TEXT, is_some_text),
    Key::text("pac.*.jwt.audience", SOME_TEXT, is_some_text),
    Key::whole("pac.*.limits.in_flight", 1..=64),
    Key::whole("pac.*.limits.waiting", 0..=10_000),
    Key::whole("pac.*.limits.wait_ms", 0..=60_000),
    Key::whole("pac.*.collector.interval_ms", 100..=3_600_000),
    Key::whole("pac.*.collector.overlap_s", 1..=86_400),
    Key::whole("pac.*.collector.longest_leg_h", 1..=720),
    Key::whole("pac.*.collector.sweep_interval_ms", 1_000..=86_400_000),
    Key::whole("pac.*.collector.sweep_horizon_h", 1..=8_760),
    Key::whole("pac.*.collector.backfill_days", 0..=3_650),
    Key::whole("pac.*.collector.page_rows", 1..=1_000),
];

fn is_plain(text: &str, longest: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_some_text(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// A path to put before others; slashes at its ends are as good as none.
fn is_prefix(text: &str) -> bool {
    let parts = text.strip_prefix('/').unwrap_or(text);
    let parts = parts.strip_suffix('/').unwrap_or(parts);
    text.len() <= 100
        && (parts.is_empty()
            || parts
                .split('/')
                .all(|part| is_plain(part, 100) && !matches!(part, "." | "..")))
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_plain(text, 253)
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_plain(host, 253),
    };
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| is_plain(rest, 253) || is_address(rest))
}
