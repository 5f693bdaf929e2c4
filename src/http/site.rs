//! Where a client is: what is counted together, as one cannot be told from its neighbours.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What counts as one address: all of a /64 of IPv6, as it belongs to one site.
#[derive(derive_more::Display, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Site(IpAddr);

impl Site {
    /// That of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(address) if address.is_loopback() => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }

    /// Whether it is this machine, a proxy on it included.
    pub(super) fn is_this_machine(self) -> bool {
        self.0.is_loopback()
    }
}

/// The address that the connection comes from, IPv4 as such; no header has a say. A request without one comes from
/// nowhere, which nobody trusts.
pub(super) fn client_address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Site {
        Site::of(client_address(Some(SocketAddr::new(
            text.parse().unwrap(),
            5_060,
        ))))
    }

    #[test]
    fn a_site_of_ipv6_is_one_address() {
        assert_eq!(site("2001:db8:0:1::5"), site("2001:db8:0:1:9::1"));
        assert_ne!(site("2001:db8:0:1::5"), site("2001:db8:0:2::5"));
        assert_eq!(site("::ffff:192.0.2.7"), site("192.0.2.7"));
        assert_ne!(site("192.0.2.7"), site("192.0.2.8"));
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (text, this) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::2", false),
            ("192.0.2.7", false),
        ] {
            assert_eq!(site(text).is_this_machine(), this, "{text}");
        }
    }
}
