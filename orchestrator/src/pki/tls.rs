//! TLS of the listener: our certificate, and client certificates that are asked for but checked only after the handshake,
//! so that a bad one is answered 401 in words and not by a broken connection.

use super::leaf::client_of;
use super::signatures::signatures_by;
use super::{Pair, Pki};
use anyhow::Context;
use jiff::Timestamp;
use peapod_api::pod_traffic::PROTOCOL;
use peapod_api::well_known::NODE_PROTOCOL;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, RootCertStore, ServerConfig};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The acceptor that shows `server`'s certificate, and the judge of what clients show.
pub(crate) fn acceptor(pki: &Pki, server: &Pair) -> anyhow::Result<(TlsAcceptor, ClientCertificates)> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = ClientCertificates::of(pki, provider.clone())?;
    let certificate = CertificateDer::from_pem_slice(server.certificate_pem.as_bytes());
    let authority = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes());
    // The authority comes with it: a machine that joins knows its hash and nothing else.
    let chain = vec![
        certificate.context("the server certificate cannot be read")?,
        authority.context("ca.crt cannot be read")?,
    ];
    let key =
        PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).context("the server key cannot be read")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no TLS version is available")?
        .with_client_cert_verifier(Arc::new(Undecided(certificates.0.clone())))
        .with_single_cert(chain, key)
        .context("the server certificate does not fit its key")?;
    config.alpn_protocols =
        vec![b"h2".to_vec(), b"http/1.1".to_vec(), NODE_PROTOCOL.to_vec(), PROTOCOL.to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), certificates))
}

/// What a client's certificate proves.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    pub(crate) until: Timestamp,
}

/// Judges the certificates that clients show.
#[derive(Clone)]
pub(crate) struct ClientCertificates(Arc<dyn ClientCertVerifier>);

impl ClientCertificates {
    fn of(pki: &Pki, provider: Arc<CryptoProvider>) -> anyhow::Result<ClientCertificates> {
        let ca = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).context("ca.crt cannot be read")?;
        let mut roots = RootCertStore::empty();
        roots.add(ca).context("ca.crt is no authority")?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .context("ca.crt cannot verify clients")?;
        Ok(ClientCertificates(verifier))
    }

    /// Errors: why the chain proves nothing.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<Proven, String> {
        let (first, rest) = chain.split_first().ok_or("no certificate")?;
        self.0.verify_client_cert(first, rest, UnixTime::now()).map_err(|error| error.to_string())?;
        let (_, certificate) = X509Certificate::from_der(first).map_err(|error| error.to_string())?;
        let (name, groups) = client_of(&certificate).ok_or("the subject has no common name")?;
        let until = Timestamp::from_second(certificate.validity().not_after.timestamp());
        Ok(Proven { name, groups, until: until.unwrap_or(Timestamp::MAX) })
    }
}

/// Checks that the client holds the certificate's key and leaves the rest to [`ClientCertificates::verify`].
#[derive(Debug)]
struct Undecided(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Undecided {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures_by!(0);
}
