//! A certificate authority for development, made on demand: so that TLS can be tried on a machine
//! that has no certificate.
//!
//! Its key lies in the data folder, so whoever trusts it trusts that folder. It is therefore bound
//! by name constraints to what a development server may be called: this machine and private networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};

/// How long an authority is good for: ten years.
const CA_KEPT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long a certificate is good for: clients refuse more than 825 days.
const CERT_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Certificates are good from an hour ago: clocks differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

/// Networks a development server may be in: loopback, private (RFC 1918), link-local, and their like
/// of IPv6.
const NETWORKS_V4: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
];
const NETWORKS_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
];

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the development certificate cannot be made")]
pub struct Error(#[from] rcgen::Error);

/// Makes an authority for this machine.
///
/// # Errors
/// Where the system gives no key.
pub fn authority(host: &str, now: SystemTime) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let mut params = params(&format!("Caxton development CA of {host}"), now, CA_KEPT);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut permitted = vec![GeneralSubtree::DnsName("localhost".to_owned())];
    if is_name(host) {
        permitted.push(GeneralSubtree::DnsName(host.to_owned()));
    }
    let v4 = NETWORKS_V4.map(|(ip, prefix)| CidrSubnet::from_addr_prefix(ip.into(), prefix));
    let v6 = NETWORKS_V6.map(|(ip, prefix)| CidrSubnet::from_addr_prefix(ip.into(), prefix));
    permitted.extend(v4.into_iter().chain(v6).map(GeneralSubtree::IpAddress));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: Vec::new(),
    });
    let cert = params.self_signed(&key)?;
    Ok(Pair {
        cert: cert.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes a server's certificate for this machine and the address it listens on.
///
/// # Errors
/// Where the authority cannot be read, or the system gives no key.
pub fn certificate(
    authority: &Pair,
    host: &str,
    listen: IpAddr,
    now: SystemTime,
) -> Result<Pair, Error> {
    let issuer_key = KeyPair::from_pem(&authority.key)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, issuer_key)?;
    let key = KeyPair::generate()?;
    let mut params = params("Caxton development server", now, CERT_KEPT);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let mut names = vec!["localhost".to_owned()];
    if is_name(host) && host != "localhost" {
        names.push(host.to_owned());
    }
    for name in names {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.try_into()?));
    }
    let mut addresses = vec![
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    // One the authority may not vouch for would make clients refuse the whole certificate.
    if is_near(listen) && !addresses.contains(&listen) {
        addresses.push(listen);
    }
    let addresses = addresses.into_iter().map(SanType::IpAddress);
    params.subject_alt_names.extend(addresses);
    let cert = params.signed_by(&key, &issuer)?;
    Ok(Pair {
        cert: cert.pem(),
        key: key.serialize_pem(),
    })
}

/// Whether an address lies in the networks of a development server.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn params(name: &str, now: SystemTime, kept: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now - CLOCKS_DIFFER).into();
    params.not_after = (now + kept).into();
    params
}

/// Whether a machine's name can stand in a certificate: letters, digits, hyphens, dots.
fn is_name(host: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (1..=253).contains(&host.len()) && host.chars().all(fit) && !host.starts_with(['-', '.'])
}
