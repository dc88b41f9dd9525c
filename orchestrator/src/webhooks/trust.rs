//! By which authorities the certificate of a webhook is checked.

use crate::pki::signatures_by;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where Linux distributions keep the authorities of the machine; the first that is there counts.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A client that trusts the authorities of a PEM bundle; of an empty one, those of the machine. Errors: there are none.
pub(super) fn config(ca_bundle: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let unreadable = "unable to load root certificates: unable to parse bytes as PEM block";
    let known =
        if ca_bundle.is_empty() { of_machine() } else { CertificateDer::pem_slice_iter(ca_bundle).collect() };
    let known: Vec<CertificateDer<'static>> = known.map_err(|_| unreadable)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(known.iter().cloned());
    if roots.is_empty() {
        return Err(unreadable.into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let by_authority = by_authority.map_err(|error| format!("unable to load root certificates: {error}"))?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Bundle { known, by_authority }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn of_machine() -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    let asked = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let usual = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_path_buf);
    match asked.or(usual) {
        Some(path) => CertificateDer::pem_file_iter(path)?.collect(),
        None => Ok(Vec::new()),
    }
}

/// Checks certificates as Go does: one that stands in the bundle itself is good, even if it says that it is an authority,
/// as those do that are made by hand.
#[derive(Debug)]
struct Bundle {
    known: Vec<CertificateDer<'static>>,
    by_authority: Arc<WebPkiServerVerifier>,
}

impl Bundle {
    fn verify_known(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let bad = || rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| bad())?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        if !(from..=to).contains(&seconds) {
            return Err(rustls::Error::InvalidCertificate(CertificateError::Expired));
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Bundle {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.known.iter().any(|known| known == certificate) {
            return self.verify_known(certificate, name, now);
        }
        self.by_authority.verify_server_cert(certificate, others, name, ocsp_response, now)
    }

    signatures_by!(by_authority);
}
