//! Who a request comes from, and which addresses act as a key without sending one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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

/// The address that the connection comes from, IPv4 as such; no header has a say. A request without one comes from
/// nowhere, which nobody trusts.
pub(super) fn client_address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

/// What counts as one address: all of a /64 of IPv6, as it belongs to one site.
pub(super) fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_site_of_ipv6_is_one_address() {
        assert_eq!(
            site(address("2001:db8:0:1::5")),
            site(address("2001:db8:0:1:9::1"))
        );
        assert_ne!(site(address("2001:db8:0:1::5")), site(address("2001:db8:0:2::5")));
        assert_eq!(site(address("::ffff:192.0.2.7")), address("192.0.2.7"));
        assert_ne!(site(address("192.0.2.7")), site(address("192.0.2.8")));
    }
}
