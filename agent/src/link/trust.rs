//! Whether a server is the one that is meant: signed by the authority that is known by its hash or its certificate, and
//! called what it was called by. Its validity in time is told and not insisted on: a board without a clock is the usual
//! case, the authority is pinned, and what is worth protecting is judged by the server's own clock.

use super::address::CaHash;
use super::signatures::signatures_by_provider;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, OtherError, RootCertStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a server is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Distrust {
    #[error("its authority is {presented}, not {expected}")]
    OtherAuthority { expected: CaHash, presented: String },
    #[error("its certificate is for {presented}")]
    OtherName { presented: String },
    #[error("{0}")]
    Other(String),
}

/// What is known of the authority.
#[derive(Clone, Debug)]
pub(super) enum Anchor {
    /// Its hash; the certificate is taken from what the server presents.
    Hash(CaHash),
    /// The certificate.
    Certificate(CertificateDer<'static>),
}

/// Judges servers.
#[derive(Debug)]
pub(super) struct Trust {
    anchor: Anchor,
    provider: Arc<CryptoProvider>,
    authority: Mutex<Option<CertificateDer<'static>>>,
    told_of_time: AtomicBool,
}

impl Trust {
    pub(super) fn new(anchor: Anchor, provider: Arc<CryptoProvider>) -> Trust {
        Trust { anchor, provider, authority: Mutex::default(), told_of_time: AtomicBool::new(false) }
    }

    /// The authority's certificate, once a server was trusted.
    pub(super) fn authority(&self) -> Option<CertificateDer<'static>> {
        self.authority.lock().clone()
    }

    fn expected(&self) -> Option<CaHash> {
        match &self.anchor {
            Anchor::Hash(hash) => Some(*hash),
            Anchor::Certificate(certificate) => CaHash::of(certificate),
        }
    }

    fn find(&self, presented: &[CertificateDer<'_>]) -> Result<CertificateDer<'static>, Distrust> {
        let hash = match &self.anchor {
            Anchor::Certificate(certificate) => return Ok(certificate.clone()),
            Anchor::Hash(hash) => hash,
        };
        let found = presented.iter().find(|certificate| CaHash::of(certificate) == Some(*hash));
        found
            .map(|certificate| certificate.clone().into_owned())
            .ok_or_else(|| self.other_authority(presented))
    }

    fn other_authority(&self, presented: &[CertificateDer<'_>]) -> Distrust {
        let presented = presented.last().and_then(|certificate| CaHash::of(certificate));
        let presented = presented.map_or_else(|| "another one".into(), |hash| hash.to_string());
        match self.expected() {
            Some(expected) => Distrust::OtherAuthority { expected, presented },
            None => Distrust::Other("the authority's own certificate cannot be read".into()),
        }
    }

    fn judge(
        &self,
        server: &CertificateDer<'_>,
        presented: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let authority = self.find(presented)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(|error| Distrust::Other(error.to_string()))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
        let verifier = verifier.build().map_err(|error| Distrust::Other(error.to_string()))?;
        let at = |time| verifier.verify_server_cert(server, &[], name, &[], time);
        let judged = match at(now) {
            Err(Error::InvalidCertificate(why)) if is_about_time(&why) => {
                let again = middle(server).ok_or_else(|| Distrust::Other(why.to_string())).map(at)?;
                self.tell_of_time(&why, again.is_ok());
                again
            }
            other => other,
        };
        match judged {
            Ok(_) => {
                self.authority.lock().get_or_insert(authority);
                Ok(())
            }
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => Err(self.other_authority(presented)),
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented, ..
            })) => Err(Distrust::OtherName { presented: presented.join(", ") }),
            Err(other) => Err(Distrust::Other(other.to_string())),
        }
    }

    fn tell_of_time(&self, why: &CertificateError, is_good: bool) {
        if is_good && !self.told_of_time.swap(true, Ordering::Relaxed) {
            use CertificateError::{NotValidYet, NotValidYetContext};
            let is_early = matches!(why, NotValidYet | NotValidYetContext { .. });
            tracing::warn!(
                "by this machine's clock the server's certificate is {}; it is taken, because its authority and its name \
                 are the right ones: set one of the two clocks",
                if is_early { "not valid yet" } else { "not valid any more" },
            );
        }
    }
}

fn is_about_time(why: &CertificateError) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(why, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// A time at which the certificate is valid.
fn middle(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let (from, to) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let seconds = u64::try_from(from + (to - from) / 2).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        presented: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.judge(server, presented, name, now);
        judged.map(|()| ServerCertVerified::assertion()).map_err(|distrust| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust))))
        })
    }

    signatures_by_provider!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    struct Authority {
        certificate: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    fn authority() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `server.test` that is valid in 2030.
    fn server(authority: &Authority) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["server.test".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2030, 1, 1);
        params.not_after = rcgen::date_time_ymd(2031, 1, 1);
        params.signed_by(&KeyPair::generate().unwrap(), &authority.issuer).unwrap().der().clone()
    }

    fn judge(
        anchor: Anchor,
        server: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &str,
        year: u64,
    ) -> Result<bool, Distrust> {
        let trust = Trust::new(anchor, Arc::new(rustls::crypto::ring::default_provider()));
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600 + 86_400));
        trust.judge(server, chain, &ServerName::try_from(name).unwrap(), now)?;
        assert!(trust.authority().is_some());
        Ok(trust.told_of_time.load(Ordering::Relaxed))
    }

    #[test]
    fn the_authority_and_the_name_decide_and_time_is_told() {
        let (own, other) = (authority(), authority());
        let server = server(&own);
        let chain = [own.certificate.clone()];
        let hash = Anchor::Hash(CaHash::of(&own.certificate).unwrap());
        let pinned = Anchor::Certificate(own.certificate.clone());
        for anchor in [&hash, &pinned] {
            assert_eq!(judge(anchor.clone(), &server, &chain, "server.test", 2030), Ok(false));
            // Clocks that are years ahead or behind.
            assert_eq!(judge(anchor.clone(), &server, &chain, "server.test", 2032), Ok(true));
            assert_eq!(judge(anchor.clone(), &server, &chain, "server.test", 1971), Ok(true));
            for year in [1971, 2030, 2032] {
                let named = judge(anchor.clone(), &server, &chain, "other.test", year).unwrap_err();
                assert!(
                    matches!(&named, Distrust::OtherName { presented } if presented.contains("server.test"))
                );
            }
        }
        assert_eq!(judge(pinned, &server, &[], "server.test", 2030), Ok(false), "the chain need not be sent");
        let presented = CaHash::of(&own.certificate).unwrap().to_string();
        let strange = Anchor::Hash(CaHash::of(&other.certificate).unwrap());
        for year in [1971, 2030] {
            let wrong = judge(strange.clone(), &server, &chain, "server.test", year).unwrap_err();
            assert!(
                matches!(&wrong, Distrust::OtherAuthority { presented: p, .. } if *p == presented),
                "{wrong}"
            );
            let pinned = Anchor::Certificate(other.certificate.clone());
            assert!(matches!(
                judge(pinned, &server, &chain, "server.test", year),
                Err(Distrust::OtherAuthority { .. })
            ));
        }
        // An authority that is presented, has the right hash, but has not signed.
        let chain = [other.certificate.clone()];
        assert!(matches!(
            judge(strange, &server, &chain, "server.test", 2030),
            Err(Distrust::OtherAuthority { .. })
        ));
    }
}
