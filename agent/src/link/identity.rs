//! Who this node is: its name, its key and its certificate, and the authority that it trusts, as kept on its disk.

use super::address::{CaHash, ServerUrl};
use anyhow::{Context, bail};
use peapod_api::well_known::{NODE_PREFIX, NODES};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Names of the files.
const AUTHORITY: &str = "ca.crt";
const NODE: &str = "node.json";
/// The certificate and its key in one file, so that they change together.
const PAIR: &str = "node.pem";
/// The key of a certificate that has been asked for.
const PENDING_KEY: &str = "node.key";

/// A node that has joined.
#[derive(Clone, Debug)]
pub struct Identity {
    dir: PathBuf,
    node: NodeFile,
    authority: CertificateDer<'static>,
    pair_pem: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NodeFile {
    name: String,
    server: String,
    /// The node's address when it last reached the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

/// A key of its own and the request for its certificate.
pub(super) struct Asked {
    pub(super) key_pem: String,
    /// The request, PEM.
    pub(super) request_pem: String,
    /// The same for the same key: a request that is repeated is the same request.
    pub(super) name: String,
}

impl Identity {
    /// Reads the identity kept in `dir`; none if the node has not joined yet.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn load(dir: &Path) -> anyhow::Result<Option<Identity>> {
        if !dir.join(PAIR).exists() {
            return Ok(None);
        }
        let read = |name: &str| {
            fs::read_to_string(dir.join(name))
                .with_context(|| format!("cannot read {}", dir.join(name).display()))
        };
        let damaged = || format!("{} holds no usable identity of a node", dir.display());
        let node = serde_json::from_str(&read(NODE)?).with_context(damaged)?;
        let authority = CertificateDer::from_pem_slice(read(AUTHORITY)?.as_bytes()).with_context(damaged)?;
        let identity = Identity { dir: dir.into(), node, authority, pair_pem: read(PAIR)? };
        identity.certificate().map_err(anyhow::Error::msg).with_context(damaged)?;
        Ok(Some(identity))
    }

    /// Keeps what the server has signed. The pair is written last: with it the node has joined.
    pub(super) fn store(
        dir: &Path,
        name: &str,
        server: &ServerUrl,
        authority: &CertificateDer<'static>,
        pair_pem: String,
    ) -> anyhow::Result<Identity> {
        let node = NodeFile { name: name.into(), server: server.to_string(), ip: None };
        write_private(&dir.join(AUTHORITY), &authority_pem(authority))?;
        write_private(&dir.join(NODE), &serde_json::to_string(&node)?)?;
        let identity = Identity { dir: dir.into(), node, authority: authority.clone(), pair_pem };
        identity
            .certificate()
            .map_err(anyhow::Error::msg)
            .context("the server's certificate is of no use")?;
        write_private(&dir.join(PAIR), &identity.pair_pem)?;
        let _ = fs::remove_file(dir.join(PENDING_KEY));
        Ok(identity)
    }

    /// With another certificate for another key.
    pub(super) fn renewed(&self, pair_pem: String) -> anyhow::Result<Identity> {
        let mut renewed =
            Identity::store(&self.dir, &self.node.name, &self.server()?, &self.authority, pair_pem)?;
        renewed.remember(&self.server()?, self.node.ip)?;
        Ok(renewed)
    }

    /// Remembers where the server was reached, and from which address.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remember(&mut self, server: &ServerUrl, ip: Option<IpAddr>) -> anyhow::Result<()> {
        let node = NodeFile { server: server.to_string(), ip: ip.or(self.node.ip), ..self.node.clone() };
        if node != self.node {
            self.node = node;
            write_private(&self.dir.join(NODE), &serde_json::to_string(&self.node)?)?;
        }
        Ok(())
    }

    /// The Node's name.
    pub fn node_name(&self) -> &str {
        &self.node.name
    }

    /// The server that the node joined.
    ///
    /// # Errors
    /// What is kept is no URL.
    pub fn server(&self) -> anyhow::Result<ServerUrl> {
        self.node.server.parse().map_err(anyhow::Error::msg)
    }

    /// The node's address when it last reached the server.
    pub fn ip(&self) -> Option<IpAddr> {
        self.node.ip
    }

    /// Where it is kept.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The certificate of the cluster's authority, DER.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// Its hash.
    pub fn authority_hash(&self) -> Option<CaHash> {
        CaHash::of(&self.authority)
    }

    /// The node's certificate, with what is between it and the authority, and its key.
    ///
    /// # Errors
    /// The file holds none; a few words.
    pub fn certificate(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let pem = self.pair_pem.as_bytes();
        let chain =
            CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
        if chain.is_empty() { Err("no certificate".into()) } else { Ok((chain, key)) }
    }

    /// Seconds since 1970 from which and until which the certificate is valid.
    pub fn validity_seconds(&self) -> Option<(i64, i64)> {
        let (chain, _) = self.certificate().ok()?;
        let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
        let validity = certificate.validity();
        Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
    }
}

/// The request of node `name`, with the key that an earlier attempt made, or a new one.
pub(super) fn ask(dir: &Path, name: &str) -> anyhow::Result<Asked> {
    let path = dir.join(PENDING_KEY);
    let kept = fs::read_to_string(&path).ok().and_then(|pem| Some((KeyPair::from_pem(&pem).ok()?, pem)));
    let (key, key_pem) = match kept {
        Some(kept) => kept,
        None => {
            let key = KeyPair::generate().context("cannot make a key")?;
            let pem = key.serialize_pem();
            write_private(&path, &pem)?;
            (key, pem)
        }
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, NODES);
    params.distinguished_name.push(DnType::CommonName, format!("{NODE_PREFIX}{name}"));
    let request = params.serialize_request(&key).context("cannot make a certificate request")?;
    let mut input = key.public_key_raw().to_vec();
    input.extend_from_slice(name.as_bytes());
    let hash: String = sha2_hex(&input).chars().take(32).collect();
    Ok(Asked { key_pem, request_pem: request.pem()?, name: format!("node-csr-{hash}") })
}

/// The next attempt is made with another key.
pub(super) fn forget_asked(dir: &Path) {
    let _ = fs::remove_file(dir.join(PENDING_KEY));
}

fn sha2_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn authority_pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Writes a file that only its owner reads: beside it first, synced, then renamed.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let Some(dir) = path.parent() else { bail!("{} is no file", path.display()) };
    let draft = path.with_extension("draft");
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_kept_and_the_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("pki");
        assert!(Identity::load(&dir).unwrap().is_none());
        let asked = ask(&dir, "edge-1").unwrap();
        let again = ask(&dir, "edge-1").unwrap();
        assert_eq!((&asked.name, &asked.key_pem), (&again.name, &again.key_pem));
        assert!(!asked.request_pem.contains("PRIVATE"));
        assert_ne!(ask(&dir, "edge-2").unwrap().name, asked.name);
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(PENDING_KEY), 0o600);

        let key = KeyPair::from_pem(&asked.key_pem).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let server: ServerUrl = "https://10.0.0.1:6443".parse().unwrap();
        let pair = format!("{}{}", certificate.pem(), asked.key_pem);
        let mut stored = Identity::store(&dir, "edge-1", &server, certificate.der(), pair).unwrap();
        let own = [10, 0, 0, 9].into();
        stored.remember(&"https://10.0.0.2:6443".parse().unwrap(), Some(own)).unwrap();
        let loaded = Identity::load(&dir).unwrap().unwrap();
        assert_eq!((loaded.node_name(), loaded.server().unwrap().host.as_str()), ("edge-1", "10.0.0.2"));
        assert_eq!((loaded.authority(), loaded.ip()), (certificate.der(), Some(own)));
        assert_eq!((mode(PAIR), dir.join(PENDING_KEY).exists()), (0o600, false));
        assert!(loaded.validity_seconds().is_some());
        fs::write(dir.join(PAIR), "nonsense").unwrap();
        assert!(format!("{:#}", Identity::load(&dir).unwrap_err()).contains("no usable identity"));
    }
}
