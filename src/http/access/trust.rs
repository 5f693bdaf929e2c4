//! Which addresses act as a key without sending one.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::settings::TrustEntry;

/// The trusted addresses, those of the longest prefix first.
#[derive(Debug, Default)]
pub(super) struct Trust(Vec<(IpNet, String)>);

impl Trust {
    pub(super) fn new(entries: &[TrustEntry]) -> Self {
        let mut entries: Vec<_> = entries
            .iter()
            .map(|entry| (entry.cidr, entry.key.clone()))
            .collect();
        entries.sort_by_key(|(cidr, _)| std::cmp::Reverse(cidr.prefix_len()));
        Self(entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the key that an address acts as.
    pub(super) fn key_of(&self, address: IpAddr) -> Option<&str> {
        let entry = self.0.iter().find(|(cidr, _)| cidr.contains(&address));
        entry.map(|(_, key)| key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::http::site::client_address;

    fn address(text: &str) -> IpAddr {
        client_address(Some(SocketAddr::new(text.parse().unwrap(), 5_060)))
    }

    #[test]
    fn the_longest_prefix_counts() {
        let entry = |cidr: &str, key: &str| TrustEntry {
            cidr: cidr.parse().unwrap(),
            key: key.to_owned(),
        };
        let trust = Trust::new(&[
            entry("192.0.2.0/24", "office"),
            entry("192.0.2.7/32", "crm"),
            entry("2001:db8::/32", "branch"),
        ]);
        assert_eq!(trust.key_of(address("192.0.2.7")), Some("crm"));
        assert_eq!(trust.key_of(address("192.0.2.8")), Some("office"));
        assert_eq!(trust.key_of(address("::ffff:192.0.2.7")), Some("crm"));
        assert_eq!(trust.key_of(address("2001:db8:1::5")), Some("branch"));
        assert_eq!(trust.key_of(address("198.51.100.1")), None);
        assert_eq!(trust.key_of(client_address(None)), None);
    }
}
