//! What a join line is made of: the server's URL, the token, the hash of the authority.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 6443;
/// Characters of a token's id and secret.
const TOKEN_LENGTHS: (usize, usize) = (6, 16);

/// `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    /// 6443 where the URL names none.
    pub port: u16,
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerUrl, String> {
        let wrong = || format!("{text:?} is no URL of a server: expected https://HOST:PORT");
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let has_path = !matches!(uri.path(), "" | "/") || uri.query().is_some();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if uri.scheme_str() != Some("https") || has_path || host.is_empty() || authority.contains('@') {
            return Err(wrong());
        }
        // An authority that has a port which is no number parses without one.
        let bare =
            authority.trim_end_matches(']').len() == authority.len() && authority.rsplit_once(':').is_some();
        if bare && uri.port_u16().is_none() {
            return Err(wrong());
        }
        Ok(ServerUrl { host: host.into(), port: uri.port_u16().unwrap_or(DEFAULT_PORT) })
    }
}

impl ServerUrl {
    /// `HOST:PORT`, as HTTP names it.
    pub fn authority(&self) -> String {
        let brackets = self.host.contains(':');
        if brackets {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}", self.authority())
    }
}

/// `ID.SECRET`: 6 and 16 lower-case letters and digits. It is not shown when it is printed for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken(String);

impl JoinToken {
    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.***", self.0.split('.').next().unwrap_or_default())
    }
}

impl FromStr for JoinToken {
    type Err = String;

    fn from_str(text: &str) -> Result<JoinToken, String> {
        let fits = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let (id, secret) = text.split_once('.').unwrap_or_default();
        if fits(id, TOKEN_LENGTHS.0) && fits(secret, TOKEN_LENGTHS.1) {
            return Ok(JoinToken(text.into()));
        }
        Err("it is no join token: expected ID.SECRET, 6 and 16 lower-case letters or digits".into())
    }
}

/// `sha256:` and the hash of an authority's SubjectPublicKeyInfo in hex, as kubeadm writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaHash([u8; 32]);

impl CaHash {
    /// The hash of a certificate (DER); none if it cannot be read.
    pub fn of(certificate: &[u8]) -> Option<CaHash> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        Some(CaHash(Sha256::digest(certificate.public_key().raw).into()))
    }
}

impl FromStr for CaHash {
    type Err = String;

    fn from_str(text: &str) -> Result<CaHash, String> {
        let wrong =
            || format!("{text:?} is no hash of an authority: expected sha256: and 64 hexadecimal digits");
        let hex =
            text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(CaHash(hash))
    }
}

impl fmt::Display for CaHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("https://10.0.0.1:6443", Some("https://10.0.0.1:6443")),
            ("https://server.local", Some("https://server.local:6443")),
            ("https://[::1]:7/", Some("https://[::1]:7")),
            ("https://[::1]", Some("https://[::1]:6443")),
            ("http://10.0.0.1:6443", None),
            ("10.0.0.1:6443", None),
            ("https://10.0.0.1:6443/path", None),
            ("https://me@10.0.0.1:6443", None),
            ("https://10.0.0.1:99999", None),
            ("https://", None),
            ("", None),
        ] {
            let read = text.parse::<ServerUrl>();
            assert_eq!(read.as_ref().ok().map(ToString::to_string).as_deref(), expected, "{text}: {read:?}");
        }
        assert!("nonsense".parse::<ServerUrl>().unwrap_err().contains("https://HOST:PORT"));
    }

    #[test]
    fn tokens_and_hashes() {
        let token: JoinToken = "abcdef.0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{token:?}"), "abcdef.***");
        for wrong in ["", "abcdef", "abcdef.", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcde"] {
            assert!(wrong.parse::<JoinToken>().is_err(), "{wrong}");
        }
        let text = format!("sha256:{}", "0aF9".repeat(16));
        assert_eq!(text.parse::<CaHash>().unwrap().to_string(), text.to_lowercase());
        for wrong in [
            "",
            "0af9",
            "sha256:0af9",
            &format!("sha256:{}", "xx".repeat(32)),
            &format!("sha256:{}é", "a".repeat(62)),
        ] {
            assert!(wrong.parse::<CaHash>().unwrap_err().contains("64 hexadecimal digits"), "{wrong}");
        }
    }
}
