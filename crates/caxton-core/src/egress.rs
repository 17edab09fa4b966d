//! Which addresses a tenant's requests may reach. The decision is about the *resolved* address: names,
//! and the many spellings of one address, are resolved before it is asked, and the connection goes to
//! the very address that was asked about.
//!
//! What is refused is what IANA's special-purpose registries (RFC 6890) do not call globally reachable,
//! and every form in which an IPv6 address carries an IPv4 one that is refused.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

/// Why an address may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inner {
    Unspecified,
    Loopback,
    Private,
    /// 100.64.0.0/10, between a provider and its customers.
    CarrierNat,
    LinkLocal,
    /// Where machines of clouds tell of themselves, keys included.
    Metadata,
    Multicast,
    Broadcast,
    Documentation,
    Benchmark,
    /// Set aside, or for protocols and relays, not for hosts.
    Reserved,
}

impl Inner {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a cloud's metadata",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmarking",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a tenant's request may go to an address.
///
/// # Errors
/// What the address is, where it may not.
pub fn decide(address: IpAddr) -> Result<(), Inner> {
    let found = match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    };
    found.map_or(Ok(()), Err)
}

/// Whether a host is among those that a tenant lets tools reach: `example.com` is that name alone,
/// `*.example.com` is every name below it and not itself. An empty list has all. The address is decided
/// upon besides, with [`decide`]: a name can lead anywhere.
pub fn host_allowed(hosts: &[String], host: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim_start_matches('[').trim_end_matches(']');
        text.trim_end_matches('.').to_ascii_lowercase()
    };
    let host = bare(host);
    let has = |pattern: &String| match pattern.strip_prefix("*.") {
        Some(above) => host
            .strip_suffix(&bare(above))
            .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => bare(pattern) == host,
    };
    hosts.is_empty() || hosts.iter().any(has)
}

fn of_v4(address: Ipv4Addr) -> Option<Inner> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c, d) {
        (0, 0, 0, 0) => Inner::Unspecified,
        // "This network" (RFC 791): some systems take it for themselves.
        (0, ..) => Inner::Reserved,
        (127, ..) => Inner::Loopback,
        (10, ..) | (192, 168, ..) => Inner::Private,
        (172, 16..=31, ..) => Inner::Private,
        (169, 254, 169, 254) | (169, 254, 170, 2) => Inner::Metadata,
        (169, 254, ..) => Inner::LinkLocal,
        // Alibaba's metadata lies inside of it.
        (100, 100, 100, 200) => Inner::Metadata,
        (100, 64..=127, ..) => Inner::CarrierNat,
        // Oracle's metadata, in what IETF protocols have.
        (192, 0, 0, 192) => Inner::Metadata,
        (192, 0, 0, ..) => Inner::Reserved,
        (192, 0, 2, ..) | (198, 51, 100, ..) | (203, 0, 113, ..) => Inner::Documentation,
        // 6to4 relays (RFC 7526), and sinks of AS 112 (RFC 7534, 7535), which answer for inner names.
        (192, 88, 99, ..) | (192, 31, 196, ..) | (192, 52, 193, ..) | (192, 175, 48, ..) => {
            Inner::Reserved
        }
        (198, 18..=19, ..) => Inner::Benchmark,
        (224..=239, ..) => Inner::Multicast,
        (255, 255, 255, 255) => Inner::Broadcast,
        (240..=255, ..) => Inner::Reserved,
        // Azure's virtual public address: its platform's channel to the machine.
        (168, 63, 129, 16) => Inner::Metadata,
        _ => return None,
    })
}

fn of_v6(address: Ipv6Addr) -> Option<Inner> {
    let at = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    Some(match at {
        [0, 0, 0, 0, 0, 0, 0, 0] => Inner::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Inner::Loopback,
        // Mapped (::ffff:a.b.c.d), translated (::ffff:0:a.b.c.d) and compatible (::a.b.c.d): whoever
        // connects to them connects to the IPv4 address, if at all.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low] => of_v4(v4(high, low)).unwrap_or(Inner::Reserved),
        // NAT64's well-known prefix (RFC 6052) leads wherever the IPv4 address does.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return of_v4(v4(high, low)),
        // NAT64 for inner use (RFC 8215): the IPv4 address may stand anywhere in it.
        [0x64, 0xff9b, 1, ..] => Inner::Private,
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => of_v4(v4(high, low)).unwrap_or(Inner::Reserved),
        // Teredo (RFC 4380), the other addresses of protocols (RFC 2928), benchmarks, ORCHID.
        [0x2001, 2, 0, ..] => Inner::Benchmark,
        [0x2001, 0x0db8, ..] => Inner::Documentation,
        [0x2001, 0..=0x1ff, ..] => Inner::Reserved,
        [0x3fff, 0..=0x0fff, ..] => Inner::Documentation,
        // Discard only (RFC 6666), and the sinks of AS 112.
        [0x100, 0, 0, 0..=1, ..] | [0x2620, 0x4f, 0x8000, ..] => Inner::Reserved,
        // Segment routing (RFC 9602).
        [0x5f00, ..] => Inner::Reserved,
        // Amazon's metadata, before the private block that it lies in.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Inner::Metadata,
        [0xfc00..=0xfdff, ..] => Inner::Private,
        [0xfe80..=0xfebf, ..] => Inner::LinkLocal,
        // Site-local, deprecated and still inner (RFC 3879).
        [0xfec0..=0xfeff, ..] => Inner::Private,
        [0xff00..=0xffff, ..] => Inner::Multicast,
        // All that hosts are given lies in 2000::/3.
        [0x2000..=0x3fff, ..] => return isatap(at).and_then(|[high, low]| of_v4(v4(high, low))),
        _ => Inner::Reserved,
    })
}

/// The IPv4 address in an interface id of ISATAP (RFC 5214): a tunnel's end would send there.
fn isatap(at: [u16; 8]) -> Option<[u16; 2]> {
    match at {
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => Some([high, low]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Inner>) {
        let found = decide(text.parse().unwrap()).err();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn public_addresses_are_reached() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "2001:4860:4860::8888",
            "2001:200::1",
            "64:ff9b::808:808",
            "2620:4f:7fff::1",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_list_of_hosts_allows_those_and_what_is_below_where_it_says_so() {
        let hosts = ["example.com", "*.Example.org", "[2606:4700::1111]"].map(str::to_owned);
        for (host, expected) in [
            ("example.com", true),
            ("EXAMPLE.com.", true),
            ("a.example.com", false),
            ("notexample.com", false),
            ("example.com.evil.net", false),
            ("a.example.org", true),
            ("a.b.example.org", true),
            ("example.org", false),
            (".example.org", false),
            ("notexample.org", false),
            ("[2606:4700::1111]", true),
            ("2606:4700::1111", true),
            ("", false),
        ] {
            assert_eq!(host_allowed(&hosts, host), expected, "{host}");
        }
        assert!(host_allowed(&[], "anything"));
    }

    #[test]
    fn inner_addresses_are_not() {
        use Inner::{
            Benchmark, Broadcast, CarrierNat, Documentation, LinkLocal, Loopback, Metadata,
            Multicast, Private, Reserved, Unspecified,
        };
        for (text, inner) in [
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Reserved),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("100.64.0.0", CarrierNat),
            ("100.127.255.255", CarrierNat),
            ("100.100.100.200", Metadata),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("168.63.129.16", Metadata),
            ("169.254.0.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.254.170.2", Metadata),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.0.0.1", Reserved),
            ("192.0.0.192", Metadata),
            ("192.0.2.1", Documentation),
            ("192.88.99.1", Reserved),
            ("192.168.0.1", Private),
            ("198.18.0.1", Benchmark),
            ("198.19.255.255", Benchmark),
            ("198.51.100.1", Documentation),
            ("203.0.113.1", Documentation),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Broadcast),
            ("::", Unspecified),
            ("::1", Loopback),
            ("fc00::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fdff::1", Private),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
            ("100::1", Reserved),
            ("2001:2::1", Benchmark),
            ("2001:10::1", Reserved),
            ("2001:20::1", Reserved),
            ("2001:db8::1", Documentation),
            ("3fff::1", Documentation),
            ("5f00::1", Reserved),
            ("4000::1", Reserved),
            ("2620:4f:8000::1", Reserved),
        ] {
            check(text, Some(inner));
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_looked_at() {
        use Inner::{Loopback, Metadata, Private, Reserved};
        check("::ffff:127.0.0.1", Some(Loopback));
        check("::ffff:7f00:1", Some(Loopback));
        check("::ffff:169.254.169.254", Some(Metadata));
        check("::ffff:a9fe:a9fe", Some(Metadata));
        check("::ffff:10.0.0.1", Some(Private));
        check("::ffff:0:127.0.0.1", Some(Loopback));
        check("::127.0.0.1", Some(Loopback));
        check("::a9fe:a9fe", Some(Metadata));
        check("64:ff9b::7f00:1", Some(Loopback));
        check("64:ff9b::10.1.2.3", Some(Private));
        check("64:ff9b:1::8.8.8.8", Some(Private));
        check("2002:7f00:1::", Some(Loopback));
        check("2002:a9fe:a9fe::1", Some(Metadata));
        check("2002:c0a8:1::", Some(Private));
        check("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some(Reserved));
        check("2a00::5efe:127.0.0.1", Some(Loopback));
        check("2a00::200:5efe:10.0.0.1", Some(Private));
        check("2a00::5efe:8.8.8.8", None);
        // No host is reached by these forms, wherever they would lead.
        check("::ffff:8.8.8.8", Some(Reserved));
        check("::8.8.8.8", Some(Reserved));
        check("2002:808:808::1", Some(Reserved));
    }
}
