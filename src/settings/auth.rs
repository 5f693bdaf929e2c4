//! Who may do what, and what is kept of it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr as _;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

/// Who may do what, beside the keys that the ledger holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// Clients that act as a key without sending one.
    pub trust: Vec<TrustEntry>,
    /// How often a caller may ask.
    pub rate: RateSettings,
}

/// Addresses whose requests act as a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustEntry {
    /// The addresses.
    pub cidr: IpNet,
    /// The key's name.
    pub key: String,
}

/// How often a caller may ask, in requests a second; as many may come at once.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSettings {
    /// With one key.
    pub per_key_per_s: NonZeroU32,
    /// From one address, whoever asks; from one /64 of IPv6.
    pub per_address_per_s: NonZeroU32,
}

/// The audit of changes and refusals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// How long its entries are kept, in days.
    pub keep_days: u32,
}

/// Trusted addresses at most.
const MAX_TRUST: usize = 100;

/// What `auth.trust` may hold, in words.
pub(super) const TRUST: &str = "up to 100 of { cidr = \"192.0.2.0/24\", key = \"NAME\" }, each CIDR once and without bits \
                                beyond its prefix, or CIDR=NAME,CIDR=NAME in a variable";

/// Trusted addresses from a list, or from the text of a variable; none where something is wrong with them.
pub(super) fn accept_trust(value: &Value) -> Option<Value> {
    let pairs: Vec<(&str, &str)> = match value.as_str() {
        Some(text) => text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|pair| pair.split_once('='))
            .collect::<Option<_>>()?,
        None => value
            .as_array()?
            .iter()
            .map(|entry| {
                let fields = entry.as_object().filter(|fields| fields.len() == 2)?;
                Some((fields.get("cidr")?.as_str()?, fields.get("key")?.as_str()?))
            })
            .collect::<Option<_>>()?,
    };
    let mut seen = Vec::with_capacity(pairs.len());
    let mut accepted = Vec::with_capacity(pairs.len());
    for (cidr, key) in pairs {
        let (cidr, key) = (network(cidr.trim())?, key.trim());
        if !is_key_name(key) || seen.contains(&cidr) {
            return None;
        }
        seen.push(cidr);
        accepted.push(json!({ "cidr": cidr.to_string(), "key": key }));
    }
    (accepted.len() <= MAX_TRUST).then(|| accepted.into())
}

/// Whether a key may have that name.
pub(crate) fn is_key_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A network, or one address. IPv4 is written as such: that is how requests from it are seen.
fn network(text: &str) -> Option<IpNet> {
    let network = IpNet::from_str(text)
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let mapped = match network.network() {
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
        IpAddr::V4(_) => false,
    };
    (!mapped && network.trunc() == network).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_comes_as_a_list_or_as_text() {
        let list = json!([
            { "cidr": "192.0.2.0/24", "key": "crm" },
            { "cidr": "2001:db8::1/128", "key": "1c" },
        ]);
        assert_eq!(accept_trust(&list), Some(list.clone()));
        let text = json!(" 192.0.2.0/24=crm , 2001:db8::1=1c,");
        assert_eq!(accept_trust(&text), Some(list));
        assert_eq!(accept_trust(&json!("")), Some(json!([])));
    }

    #[test]
    fn what_is_ambiguous_or_no_network_is_refused() {
        for text in [
            "192.0.2.0/24",
            "192.0.2.0/33=crm",
            "192.0.2.1/24=crm",
            "example.org=crm",
            "192.0.2.0/24=",
            "192.0.2.0/24=a b",
            "192.0.2.0/24=crm,192.0.2.0/24=1c",
            "192.0.2.1=crm,192.0.2.1/32=1c",
            "::ffff:192.0.2.1=crm",
        ] {
            assert_eq!(accept_trust(&json!(text)), None, "{text}");
        }
        for value in [
            json!(5),
            json!([5]),
            json!([{ "cidr": "192.0.2.1" }]),
            json!([{ "cidr": "192.0.2.1", "key": "crm", "scope": "admin" }]),
        ] {
            assert_eq!(accept_trust(&value), None, "{value}");
        }
    }
}
