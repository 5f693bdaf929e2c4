//! Who sent a request.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;

use crate::cdr::ClientId;

/// The client, as the CDR store tells clients apart: by the address that the request comes from.
pub(super) fn of(request: &HttpRequest) -> ClientId {
    let address = request.peer_addr().map(|peer| peer.ip());
    ClientId::of_address(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}
