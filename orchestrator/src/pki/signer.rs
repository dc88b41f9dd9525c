//! Signs certificates that clients have asked for with keys of their own.

use super::Pki;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateSigningRequestParams, ExtendedKeyUsagePurpose, KeyUsagePurpose, SerialNumber};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// How long a certificate is valid, and the longest that may be asked for.
const LIFETIME: Duration = Duration::days(365);
/// It is valid from this long ago: a server without a clock of its own may start in the past and must still know its nodes.
const BACKDATE: Duration = Duration::days(365);

/// The authority as controllers may use it: for clients only. Clones are the same.
#[derive(Clone)]
pub(crate) struct Signer(Arc<Pki>);

impl Signer {
    /// Signs with the key of `pki`.
    pub(crate) fn new(pki: Arc<Pki>) -> Signer {
        Signer(pki)
    }

    /// A client certificate for the subject and the key of `request_pem`, PEM in base64 as `status.certificate` has it.
    /// Errors: the request cannot be read or is not signed by its own key.
    pub(crate) fn sign(
        &self,
        request_pem: &str,
        usages: &[String],
        lifetime_seconds: Option<u64>,
    ) -> Result<String, String> {
        let mut request =
            CertificateSigningRequestParams::from_pem(request_pem).map_err(|e| e.to_string())?;
        let params = &mut request.params;
        let asked = usages.iter().filter_map(|usage| match usage.as_str() {
            "digital signature" => Some(KeyUsagePurpose::DigitalSignature),
            "key encipherment" => Some(KeyUsagePurpose::KeyEncipherment),
            _ => None,
        });
        params.key_usages = asked.collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.is_ca = rcgen::IsCa::NoCa;
        params.subject_alt_names = Vec::new();
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&uuid::Uuid::new_v4().as_bytes()[..]));
        let now = OffsetDateTime::now_utc();
        let wanted =
            lifetime_seconds.and_then(|seconds| Some(Duration::seconds(i64::try_from(seconds).ok()?)));
        (params.not_before, params.not_after) =
            (now - BACKDATE, now + wanted.unwrap_or(LIFETIME).min(LIFETIME));
        let certificate = request.signed_by(&self.0.issuer).map_err(|error| error.to_string())?;
        Ok(STANDARD.encode(certificate.pem()))
    }
}
