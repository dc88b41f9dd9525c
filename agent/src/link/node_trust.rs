//! Whether who is at the other end of a connection between agents is a node, and which. Nodes have one certificate each,
//! which names the node and no address; it proves the same whether its holder dials or is dialled.

use super::clock::ServerClock;
use super::signatures::signatures_by_provider;
use peapod_api::well_known::{NODE_PREFIX, NODES};
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Judges nodes by the cluster's authority and the server's time.
#[derive(Debug)]
pub(super) struct NodeTrust {
    chains: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
    clock: Arc<ServerClock>,
}

impl NodeTrust {
    /// Errors: `authority` is none; a few words.
    pub(super) fn new(authority: &CertificateDer<'_>, clock: Arc<ServerClock>) -> Result<NodeTrust, String> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned()).map_err(|error| error.to_string())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        Ok(NodeTrust { chains: chains.map_err(|error| error.to_string())?, provider, clock })
    }

    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let (first, rest) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let told = self.clock.now().and_then(|now| u64::try_from(now.as_second()).ok());
        let now = told.map_or(now, |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        self.chains.verify_client_cert(first, rest, now)?;
        match node_of(chain) {
            Some(_) => Ok(()),
            None => Err(Error::General("the certificate is not a node's".into())),
        }
    }
}

/// The node that a certificate names; whether the certificate is valid has been judged in the handshake.
pub(super) fn node_of(chain: &[CertificateDer<'_>]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    let subject = certificate.subject();
    let is_node = subject.iter_organization().any(|group| group.as_str() == Ok(NODES));
    let name = subject.iter_common_name().next()?.as_str().ok()?.strip_prefix(NODE_PREFIX)?;
    (is_node && !name.is_empty()).then(|| name.to_string())
}

impl ClientCertVerifier for NodeTrust {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        first: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(&[std::slice::from_ref(first), rest].concat(), now)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures_by_provider!();
}

impl ServerCertVerifier for NodeTrust {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(&[std::slice::from_ref(first), rest].concat(), now)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_provider!();
}
