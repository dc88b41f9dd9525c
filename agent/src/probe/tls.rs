//! TLS of probes of scheme HTTPS. As in Kubernetes it matters that somebody answers, not what his certificate says.

use crate::link::signatures::signatures_by_provider;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, Error};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Takes everybody for whom he says he is.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_provider!();
}

static CONFIG: LazyLock<Result<Arc<ClientConfig>, Error>> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody { provider }));
    Ok(Arc::new(builder.with_no_client_auth()))
});

/// Shakes hands on a connection to `ip`. Errors: the other side does not speak TLS, or no version that we speak.
pub(super) async fn connect<S>(connection: S, ip: IpAddr) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = CONFIG.clone().map_err(io::Error::other)?;
    TlsConnector::from(config).connect(ServerName::from(ip), connection).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_certificate_of_anybody_will_do() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["elsewhere.test".into()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = key.serialize_der().try_into().unwrap();
        let config = builder.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let (ours, theirs) = tokio::io::duplex(1 << 10);
        let serve = async {
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(theirs).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let ask = async {
            let mut said = String::new();
            connect(ours, HERE).await.unwrap().read_to_string(&mut said).await.unwrap();
            said
        };
        assert_eq!(tokio::join!(ask, serve).0, "hello");
    }

    #[tokio::test]
    async fn what_speaks_no_tls_fails() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let answer = async { theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap() };
        let (connected, ()) = tokio::join!(connect(ours, HERE), answer);
        assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
