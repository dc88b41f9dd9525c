//! Who is asking: a client certificate, a bearer token, or nobody; and as whom he wants to be seen.

use crate::front_door::FrontDoor;
use crate::http::socket::protocols;
use crate::pki::Tokens;
use crate::sessions::Sessions;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use jiff::Timestamp;
use peapod_api::Error;
use peapod_api::error::Reason;
use peapod_core::auth::account::{Claims, ISSUER};
use peapod_core::auth::bootstrap::{self, Refused};
use peapod_core::auth::{self, MASTERS, NODE_PREFIX, NODES, User};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Instant;

/// What begins the protocol of a WebSocket that is a bearer token in base64.
pub(crate) const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// As whom a connection inside this process acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(pub(crate) User);

impl Identity {
    /// The agent of the node `name`.
    pub fn node(name: &str) -> Identity {
        Identity(User::new(&format!("{NODE_PREFIX}{name}"), &[NODES]))
    }

    /// The administrator, who may do everything.
    pub fn admin() -> Identity {
        Identity(User::new(crate::ADMIN, &[MASTERS]))
    }
}

/// What the connection itself proves of its other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A client certificate that is valid until then, or a connection inside this process.
    Known(User, Option<Timestamp>),
    /// A client certificate that proves nothing.
    Invalid,
    /// No certificate: the request itself has to prove something.
    Unknown,
}

/// With what somebody proves who he is. A session keeps it: whether it counts is judged anew at each use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Credential {
    proof: Proof,
    /// As whom he wants to be seen, and then as whom that one does.
    wanted: Vec<User>,
}

#[derive(Clone, Debug, PartialEq)]
enum Proof {
    /// Good until then: a certificate, a token of this process, or nobody's.
    Shown(User, Option<Timestamp>),
    /// A service account's token, whose signature is good.
    Account(Arc<Claims>),
    /// The token of a machine that joins.
    Join(String),
}

impl Credential {
    /// One that is good as long as this process lives.
    pub(crate) fn of(user: User) -> Credential {
        Credential { proof: Proof::Shown(user, None), wanted: Vec::new() }
    }
}

/// Judges each request.
pub(crate) struct Authenticator {
    admin_token: [u8; 32],
    door: FrontDoor,
    sessions: Sessions,
    tokens: Tokens,
}

impl Authenticator {
    /// One that takes `admin_token` for the administrator's and knows the join tokens behind `door`, the `sessions`, and the
    /// service accounts' `tokens`.
    pub(crate) fn new(
        admin_token: &str,
        door: FrontDoor,
        sessions: Sessions,
        tokens: Tokens,
    ) -> Authenticator {
        Authenticator { admin_token: digest(admin_token), door, sessions, tokens }
    }

    /// Who sent a request with these headers over a connection of `peer`, or as whom he wants to act. Errors: 401 for a
    /// credential that is not valid, 400 and 403 for who may not act as somebody else.
    pub(crate) fn authenticate(&self, peer: &Peer, headers: &HeaderMap) -> Result<User, Error> {
        self.judge(&self.credential(peer, headers)?)
    }

    /// With what such a request comes. Errors: 401 for what is none of ours, 400 for headers that are no text.
    pub(crate) fn credential(&self, peer: &Peer, headers: &HeaderMap) -> Result<Credential, Error> {
        let mut credential = match (peer, headers.get(header::AUTHORIZATION)) {
            (Peer::Known(user, until), _) => {
                Credential { proof: Proof::Shown(user.clone(), *until), wanted: Vec::new() }
            }
            (_, Some(_)) => self.of_token(bearer_token(headers).ok_or_else(unauthorized)?),
            (_, None) => match (offered_token(headers), peer) {
                (Some(token), _) => self.of_token(&token.ok_or_else(unauthorized)?),
                (None, Peer::Unknown) => Credential::of(User::anonymous()),
                (None, _) => return Err(unauthorized()),
            },
        };
        credential.wanted.extend(impersonated(headers)?);
        Ok(credential)
    }

    /// What a bearer token stands for.
    fn of_token(&self, token: &str) -> Credential {
        // Digests are compared: how long that takes tells nothing about the token.
        if digest(token) == self.admin_token {
            return Credential::of(Identity::admin().0);
        }
        if let Some(credential) = self.sessions.credential(token, Instant::now()) {
            return credential;
        }
        let proof = match self.tokens.read(token) {
            Some(claims) => Proof::Account(claims),
            None => Proof::Join(token.into()),
        };
        Credential { proof, wanted: Vec::new() }
    }

    /// As whom somebody acts with it now. Errors: 401 if it does not count (any more), 400 and 403 for who may not act as
    /// somebody else.
    pub(crate) fn judge(&self, credential: &Credential) -> Result<User, Error> {
        let snapshot = self.door.cache().snapshot();
        let wanted = |user: User, wanted: &User| auth::impersonate(&snapshot, &user, wanted.clone());
        credential.wanted.iter().try_fold(self.proven(&credential.proof)?, wanted)
    }

    fn proven(&self, proof: &Proof) -> Result<User, Error> {
        match proof {
            Proof::Shown(user, until) => match until {
                Some(end) if *end <= self.door.now() => Err(unauthorized()),
                _ => Ok(user.clone()),
            },
            Proof::Account(claims) => {
                let user = self.of_account(claims, &[ISSUER.into()]);
                user.map(|(user, _)| user).map_err(|why| {
                    tracing::debug!(why, user = claims.sub, "a service account's token does not count");
                    unauthorized()
                })
            }
            Proof::Join(token) => {
                match bootstrap::authenticate(&self.door.cache().snapshot(), token, self.door.now()) {
                    Some(Ok(user)) => Ok(user),
                    Some(Err(Refused::Expired)) => {
                        Err(Error::new(Reason::Unauthorized, "the token has expired"))
                    }
                    Some(Err(Refused::Unknown)) | None => Err(unauthorized()),
                }
            }
        }
    }

    /// Errors: why the token does not count, or not for any of these audiences.
    fn of_account(&self, claims: &Claims, audiences: &[String]) -> Result<(User, Vec<String>), String> {
        let common = claims.audiences(audiences);
        if common.is_empty() {
            let (own, wanted) = (&claims.aud, audiences);
            return Err(format!("token audiences {own:?} is invalid for the target audiences {wanted:?}"));
        }
        Ok((claims.user(&self.door.cache().snapshot(), self.door.now())?, common))
    }

    /// Whose token this is and for which of `audiences` it is good; no audiences: for this server. Errors: why it is not.
    pub(crate) fn review(&self, token: &str, audiences: &[String]) -> Result<(User, Vec<String>), String> {
        let own = [ISSUER.to_string()];
        let audiences = if audiences.is_empty() { &own } else { audiences };
        let invalid = |why: String| format!("[invalid bearer token, {why}]");
        if let Some(claims) = self.tokens.read(token) {
            return self.of_account(&claims, audiences).map_err(invalid);
        }
        // Other tokens are meant for this server alone.
        let user = self.judge(&self.of_token(token)).map_err(|error| invalid(error.to_string()))?;
        match audiences.contains(&own[0]) {
            true => Ok((user, own.into())),
            false => Err(invalid("it is not meant for the target audiences".into())),
        }
    }
}

/// As whom the headers ask to act; none if they do not ask. Errors: 400 for what is no text.
fn impersonated(headers: &HeaderMap) -> Result<Option<User>, Error> {
    let mut wanted: Option<User> = None;
    for (name, value) in headers {
        let Some(part) = name.as_str().strip_prefix("impersonate-") else { continue };
        let value = value.to_str().map_err(|_| Error::bad_request(format!("header {name}: no text")))?;
        let user = wanted.get_or_insert_default();
        match part {
            "user" => user.name = value.into(),
            "group" => user.groups.push(value.into()),
            "uid" => user.uid = value.into(),
            _ => {
                let Some(key) = part.strip_prefix("extra-") else { continue };
                let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().to_lowercase();
                match user.extra.iter_mut().find(|(own, _)| *own == key) {
                    Some((_, values)) => values.push(value.into()),
                    None => user.extra.push((key, vec![value.into()])),
                }
            }
        }
    }
    Ok(wanted)
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The token that a browser offers as a protocol of its socket, because it can set no header; none inside if it is not to be
/// read.
fn offered_token(headers: &HeaderMap) -> Option<Option<String>> {
    let encoded = protocols(headers).find_map(|protocol| protocol.strip_prefix(TOKEN_PROTOCOL))?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok();
    Some(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn unauthorized() -> Error {
    Error::new(Reason::Unauthorized, "Unauthorized")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;
    use crate::front_door::Options;

    fn admin() -> User {
        User::new("kubernetes-admin", &["system:masters"])
    }

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[tokio::test]
    async fn each_credential_is_judged() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(crate::store::Sqlite::open(directory.path()).unwrap()).unwrap();
        let sessions = Sessions::default();
        let tokens = Tokens::open(&directory.path().join("sa.key")).unwrap();
        let door = FrontDoor::new(cache, Options::default());
        let authenticator = Authenticator::new("secret", door, sessions.clone(), tokens);
        let ask = |peer: &Peer, headers: &HeaderMap| authenticator.authenticate(peer, headers);
        assert_eq!(ask(&Peer::Unknown, &HeaderMap::new()).unwrap(), User::anonymous());
        assert_eq!(ask(&Peer::Unknown, &headers("Bearer secret")).unwrap(), admin());
        assert_eq!(ask(&Peer::Unknown, &headers("bearer  secret ")).unwrap(), admin());
        for wrong in ["Bearer secret2", "Bearer", "Basic secret", ""] {
            assert_eq!(ask(&Peer::Unknown, &headers(wrong)).unwrap_err().code(), 401, "{wrong}");
        }
        let offers = |token: &str| {
            let protocols = format!("base64.binary.k8s.io, {TOKEN_PROTOCOL}{token}");
            HeaderMap::from_iter([(header::SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap())])
        };
        assert_eq!(ask(&Peer::Unknown, &offers(&URL_SAFE_NO_PAD.encode("secret"))).unwrap(), admin());
        for wrong in ["", "secret", "!", "_w"] {
            assert_eq!(ask(&Peer::Unknown, &offers(wrong)).unwrap_err().code(), 401, "{wrong}");
        }
        let ada = User::new("ada", &[]);
        let code = sessions.code(Credential::of(ada.clone()), Instant::now());
        let session = sessions.begin(&code, Instant::now()).unwrap();
        assert_eq!(ask(&Peer::Unknown, &headers(&format!("Bearer {}", session.token))).unwrap(), ada);
        assert_eq!(ask(&Peer::Unknown, &headers(&format!("Bearer {code}"))).unwrap_err().code(), 401);
        let acting = |parts: &[(&'static str, &str)]| -> HeaderMap {
            let header = |(name, value): &(&'static str, &str)| {
                (header::HeaderName::from_static(name), value.parse().unwrap())
            };
            parts.iter().map(header).collect()
        };
        let extra = "impersonate-extra-example.com%2fscope";
        let as_jane = acting(&[("impersonate-user", "jane"), ("impersonate-group", "dev"), (extra, "x")]);
        let jane = ask(&Peer::Known(admin(), None), &as_jane).unwrap();
        assert_eq!(
            (jane.name.as_str(), jane.groups.as_slice()),
            ("jane", &["dev", "system:authenticated"].map(String::from)[..])
        );
        assert_eq!(jane.extra, [("example.com/scope".to_string(), vec!["x".to_string()])]);
        assert_eq!(ask(&Peer::Known(ada.clone(), None), &as_jane).unwrap_err().code(), 403);
        assert_eq!(ask(&Peer::Unknown, &as_jane).unwrap_err().code(), 403);
        let nobody = acting(&[("impersonate-group", "dev")]);
        assert_eq!(ask(&Peer::Known(admin(), None), &nobody).unwrap_err().code(), 400);
        assert_eq!(ask(&Peer::Invalid, &HeaderMap::new()).unwrap_err().code(), 401);
        let past = Peer::Known(ada.clone(), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(ask(&past, &HeaderMap::new()).unwrap_err().code(), 401, "the certificate has ended");
        let node = User::new("system:node:n1", &["system:nodes"]);
        assert_eq!(ask(&Peer::Known(node.clone(), None), &headers("Bearer wrong")).unwrap(), node);
    }
}
