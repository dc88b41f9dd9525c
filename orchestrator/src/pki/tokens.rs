//! Tokens of service accounts: JWTs of ES256, signed with a key of their own. The format is `jsonwebtoken`'s, the
//! cryptography ring's, as everywhere else.

use super::write;
use crate::files::PRIVATE;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use peapod_core::auth::account::{Claims, ISSUER};
use rcgen::KeyPair;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, VerificationAlgorithm,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Tokens whose signature is remembered as good: checking one costs more than all else that a small request needs.
const REMEMBERED: usize = 4096;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Makes and reads tokens. Clones are the same.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Keys>);

struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    header: Header,
    jwk: Value,
    /// By the digest of the token.
    good: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Tokens {
    /// With the key kept at `path`, made at the first start. Errors: it cannot be read or written.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Tokens> {
        if !path.exists() {
            let made = KeyPair::generate().context("cannot make the key of service account tokens")?;
            write(path, &made.serialize_pem(), PRIVATE)?;
        }
        let pair = KeyPair::from_pem(&super::read(path)?);
        let pair = pair.with_context(|| format!("{} holds no usable key", path.display()))?;
        // Once for the process; whoever was first has installed the same.
        let _ = RING.install_default();
        Ok(Tokens(Arc::new(Keys::of(&pair))))
    }

    /// The signed token. Errors: a sentence for the log.
    pub(crate) fn sign(&self, claims: &Claims) -> std::result::Result<String, String> {
        let keys = &self.0;
        jsonwebtoken::encode(&keys.header, claims, &keys.encoding).map_err(|error| error.to_string())
    }

    /// What a token of this cluster says; none for any other text. Whether it still counts is not looked at.
    pub(crate) fn read(&self, token: &str) -> Option<Arc<Claims>> {
        // Cheap, and spares other tokens the rest.
        if token.len() > MAX_TOKEN_BYTES || token.split('.').count() != 3 {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(known) = self.0.good.lock().get(&digest) {
            return Some(known.clone());
        }
        let mut rules = Validation::new(Algorithm::ES256);
        // Time and audience are judged by the server's clock and the request.
        (rules.validate_exp, rules.validate_aud) = (false, false);
        rules.required_spec_claims.clear();
        rules.set_issuer(&[ISSUER]);
        let read = jsonwebtoken::decode::<Claims>(token, &self.0.decoding, &rules).ok()?;
        let claims = Arc::new(read.claims);
        let mut good = self.0.good.lock();
        if good.len() >= REMEMBERED {
            good.clear();
        }
        good.insert(digest, claims.clone());
        Some(claims)
    }

    /// The keys as `/openid/v1/jwks` publishes them.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [self.0.jwk]})
    }

    /// What `/.well-known/openid-configuration` says; `server` is where others find the keys.
    pub(crate) fn discovery(&self, server: &str) -> Value {
        json!({
            "issuer": ISSUER, "jwks_uri": format!("{server}/openid/v1/jwks"), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

impl Keys {
    fn of(pair: &KeyPair) -> Keys {
        let public = pair.public_key_raw();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let id = encode(&Sha256::digest(public));
        // An uncompressed point: 4, x, y.
        let (x, y) =
            (encode(public.get(1..33).unwrap_or_default()), encode(public.get(33..).unwrap_or_default()));
        Keys {
            encoding: EncodingKey::from_ec_der(&pair.serialize_der()),
            decoding: DecodingKey::from_ec_der(public),
            jwk: json!({"use": "sig", "kty": "EC", "kid": id, "crv": "P-256", "alg": "ES256", "x": x, "y": y}),
            header: Header { kid: Some(id), typ: None, ..Header::new(Algorithm::ES256) },
            good: Mutex::default(),
        }
    }
}

/// ES256 by ring, and nothing else.
static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::ES256 => Ok(Box::new(Es256Signer::of(key)?)),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::ES256 => Ok(Box::new(Es256Verifier(key.clone()))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Es256Signer(EcdsaKeyPair, SystemRandom);

impl Es256Signer {
    fn of(key: &EncodingKey) -> Result<Es256Signer> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes(), &random);
        Ok(Es256Signer(pair.map_err(|_| ErrorKind::InvalidEcdsaKey)?, random))
    }
}

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let signature = self.0.sign(&self.1, message).map_err(|_| Error::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Es256Verifier(DecodingKey);

impl Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let key = self.0.try_get_as_bytes().map_err(|_| Error::new())?;
        let verified =
            ECDSA_P256_SHA256_FIXED.verify(key.into(), message.into(), signature.as_slice().into());
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let text = json!({"aud": [ISSUER], "exp": 2, "iat": 1, "nbf": 1, "iss": ISSUER, "jti": "id",
            "sub": "system:serviceaccount:a:b", "kubernetes.io": {"namespace": "a",
                "serviceaccount": {"name": "b", "uid": "u"}}});
        serde_json::from_value(text).unwrap()
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn only_what_was_signed_with_the_key_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&directory.path().join("sa.key")).unwrap();
        let token = tokens.sign(&claims()).unwrap();
        assert_eq!(*tokens.read(&token).unwrap(), claims());
        assert_eq!(*tokens.read(&token).unwrap(), claims(), "from memory");
        let reopened = Tokens::open(&directory.path().join("sa.key")).unwrap();
        assert_eq!(*reopened.read(&token).unwrap(), claims(), "the key is kept");
        let other = Tokens::open(&directory.path().join("other.key")).unwrap();
        assert!(other.read(&token).is_none(), "another cluster's");

        let parts: Vec<&str> = token.split('.').collect();
        let mut changed = serde_json::to_value(claims()).unwrap();
        changed["sub"] = "system:serviceaccount:kube-system:root".into();
        let forged = format!("{}.{}.{}", parts[0], part(&changed), parts[2]);
        let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), parts[1]);
        let lying = format!("{}.{}.{}", part(&json!({"alg": "HS256"})), parts[1], parts[2]);
        for bad in [&forged, &unsigned, &lying, "", "a.b.c", "..", &token[..token.len() - 4]] {
            assert!(tokens.read(bad).is_none(), "{bad}");
        }
        let strange = json!({"aud": "x", "iss": ISSUER, "exp": "soon"});
        let signed = jsonwebtoken::encode(&tokens.0.header, &strange, &tokens.0.encoding).unwrap();
        assert!(tokens.read(&signed).is_none(), "claims of other types");
    }

    #[test]
    fn others_can_check_tokens_with_the_published_key() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&directory.path().join("sa.key")).unwrap();
        let token = tokens.sign(&claims()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let key = &tokens.jwks()["keys"][0];
        assert_eq!(key["kid"], header.kid.unwrap());
        let (x, y) = (key["x"].as_str().unwrap(), key["y"].as_str().unwrap());
        let public = DecodingKey::from_ec_components(x, y).unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&[ISSUER]);
        rules.validate_exp = false;
        assert!(jsonwebtoken::decode::<Claims>(&token, &public, &rules).is_ok());
        assert_eq!(tokens.discovery("https://x")["jwks_uri"], "https://x/openid/v1/jwks");
    }
}
