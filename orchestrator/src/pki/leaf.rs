//! Certificates of servers and clients.

use super::BACKDATE;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeSet;
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How long an issued certificate is valid.
const LIFETIME: Duration = Duration::days(365);
/// One that ends sooner than this is replaced at start.
const RENEW_BEFORE: Duration = Duration::days(60);

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// A server, reached under these DNS names and IP addresses.
    Server { names: Vec<String> },
    /// A user in one group: `CN=name`, `O=group`.
    Client { name: String, group: String },
}

/// A certificate with its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

impl Leaf {
    /// Signs a new certificate with a new key.
    pub(super) fn issue(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        now: OffsetDateTime,
    ) -> Result<Pair, rcgen::Error> {
        let key = KeyPair::generate()?;
        let names = match self {
            Leaf::Server { names } => names.clone(),
            Leaf::Client { .. } => Vec::new(),
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = self.subject();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![match self {
            Leaf::Server { .. } => ExtendedKeyUsagePurpose::ServerAuth,
            Leaf::Client { .. } => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (now - BACKDATE, now + LIFETIME);
        let certificate = params.signed_by(&key, issuer)?;
        Ok(Pair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    fn subject(&self) -> DistinguishedName {
        let mut subject = DistinguishedName::new();
        match self {
            Leaf::Server { .. } => subject.push(DnType::CommonName, "peapod"),
            Leaf::Client { name, group } => {
                subject.push(DnType::OrganizationName, group.as_str());
                subject.push(DnType::CommonName, name.as_str());
            }
        }
        subject
    }

    /// Whether `pair` is signed by that authority, says what is asked for and will do so for a while.
    pub(super) fn is_served_by(&self, pair: &Pair, ca_pem: &str, now: OffsetDateTime) -> bool {
        self.check(pair, ca_pem, now).unwrap_or(false)
    }

    fn check(&self, pair: &Pair, ca_pem: &str, now: OffsetDateTime) -> Option<bool> {
        let der = CertificateDer::from_pem_slice(pair.certificate_pem.as_bytes()).ok()?;
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).ok()?;
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let (_, ca) = X509Certificate::from_der(&ca).ok()?;
        let key = KeyPair::from_pem(&pair.key_pem).ok()?;
        let validity = certificate.validity();
        Some(
            certificate.verify_signature(Some(ca.public_key())).is_ok()
                && certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
                && validity.not_before.to_datetime() <= now
                && validity.not_after.to_datetime() > now + RENEW_BEFORE
                && self.is_named_by(&certificate),
        )
    }

    fn is_named_by(&self, certificate: &X509Certificate<'_>) -> bool {
        match self {
            Leaf::Server { names } => {
                server_names(certificate) == names.iter().cloned().collect::<BTreeSet<_>>()
            }
            Leaf::Client { name, group } => {
                client_of(certificate).is_some_and(|(n, groups)| n == *name && groups == [group.as_str()])
            }
        }
    }
}

fn server_names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_string()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

/// The user whom a client certificate names: CN and the Os.
pub(super) fn client_of(certificate: &X509Certificate<'_>) -> Option<(String, Vec<String>)> {
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_string();
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(Into::into).collect();
    Some((name, groups))
}
