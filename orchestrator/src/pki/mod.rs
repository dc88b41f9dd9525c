//! The cluster's certificate authority and what it has signed, kept in `DATA/pki`.

mod kubeconfig;
mod leaf;
mod signatures;
mod signer;
mod tls;
mod tokens;

pub(crate) use kubeconfig::Kubeconfig;
pub(crate) use leaf::{Leaf, Pair};
pub(crate) use signatures::signatures_by;
pub(crate) use signer::Signer;
pub(crate) use tls::{ClientCertificates, acceptor};
pub(crate) use tokens::Tokens;

use crate::files::{self, PRIVATE, PUBLIC};
use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// How long the authority itself is valid.
const CA_LIFETIME: Duration = Duration::days(3650);
/// Certificates are valid from this long ago, for machines whose clock is behind.
const BACKDATE: Duration = Duration::days(1);
/// Name of the authority.
const CA_NAME: &str = "peapod-ca";

/// The authority: its certificate and its key.
pub(crate) struct Pki {
    directory: PathBuf,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// Opens the authority in `directory` or makes it at the first start.
    /// Errors: the directory cannot be read or written, or half of the authority is missing.
    pub(crate) fn open(directory: &Path, now: OffsetDateTime) -> anyhow::Result<Pki> {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let (certificate, key) = (directory.join("ca.crt"), directory.join("ca.key"));
        match (certificate.exists(), key.exists()) {
            (false, false) => generate(&certificate, &key, now)?,
            (true, true) => {}
            _ => bail!(
                "{} holds only one of ca.crt and ca.key: restore the other, or remove both to make a new authority",
                directory.display()
            ),
        }
        let (ca_pem, key_pem) = (read(&certificate)?, read(&key)?);
        let broken = || format!("{} holds no usable authority", directory.display());
        let key = KeyPair::from_pem(&key_pem).with_context(broken)?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, key).with_context(broken)?;
        Ok(Pki { directory: directory.into(), ca_pem, issuer })
    }

    /// The authority's certificate.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate kept as `NAME.crt` and `NAME.key` if it still is what `leaf` asks for, or a new one.
    pub(crate) fn pair(&self, name: &str, leaf: &Leaf, now: OffsetDateTime) -> anyhow::Result<Pair> {
        let certificate = self.directory.join(format!("{name}.crt"));
        let key = self.directory.join(format!("{name}.key"));
        if let (Ok(certificate_pem), Ok(key_pem)) =
            (fs::read_to_string(&certificate), fs::read_to_string(&key))
        {
            let pair = Pair { certificate_pem, key_pem };
            if leaf.is_served_by(&pair, &self.ca_pem, now) {
                return Ok(pair);
            }
        }
        let pair =
            leaf.issue(&self.issuer, now).with_context(|| format!("cannot issue the certificate {name}"))?;
        write(&key, &pair.key_pem, PRIVATE)?;
        write(&certificate, &pair.certificate_pem, PUBLIC)?;
        Ok(pair)
    }
}

/// The bearer token of the administrator: kept over restarts, made at the first start.
pub(crate) fn admin_token(path: &Path) -> anyhow::Result<String> {
    if path.exists() {
        let token = read(path)?.trim().to_string();
        if token.len() < 32 {
            bail!("{} holds no token: remove it to have a new one made", path.display());
        }
        return Ok(token);
    }
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    write(path, &token, PRIVATE)?;
    Ok(token)
}

fn generate(certificate: &Path, key: &Path, now: OffsetDateTime) -> anyhow::Result<()> {
    let pair = KeyPair::generate().context("cannot make the authority's key")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    (params.not_before, params.not_after) = (now - BACKDATE, now + CA_LIFETIME);
    let signed = params.self_signed(&pair).context("cannot sign the authority's certificate")?;
    write(key, &pair.serialize_pem(), PRIVATE)?;
    write(certificate, &signed.pem(), PUBLIC)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    files::write_atomic(path, text.as_bytes(), mode)
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
