//! Who is asking: a client certificate, a bearer token, or nobody.

use crate::front_door::FrontDoor;
use crate::sessions::Sessions;
use http::{HeaderMap, header};
use peapod_api::Error;
use peapod_api::error::Reason;
use peapod_core::auth::bootstrap::{self, Refused};
use peapod_core::auth::{MASTERS, NODES, User};
use sha2::{Digest, Sha256};
use std::time::Instant;

/// As whom a connection inside this process acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(pub(crate) User);

impl Identity {
    /// The agent of the node `name`.
    pub fn node(name: &str) -> Identity {
        Identity(User::new(&format!("system:node:{name}"), &[NODES]))
    }

    /// The administrator, who may do everything.
    pub fn admin() -> Identity {
        Identity(User::new(crate::ADMIN, &[MASTERS]))
    }
}

/// What the connection itself proves of its other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A valid client certificate, or a connection inside this process.
    Known(User),
    /// A client certificate that proves nothing.
    Invalid,
    /// No certificate: the request itself has to prove something.
    Unknown,
}

/// Judges each request.
pub(crate) struct Authenticator {
    admin_token: [u8; 32],
    door: FrontDoor,
    sessions: Sessions,
}

impl Authenticator {
    /// One that takes `admin_token` for the administrator's and knows the join tokens behind `door` and the `sessions`.
    pub(crate) fn new(admin_token: &str, door: FrontDoor, sessions: Sessions) -> Authenticator {
        Authenticator { admin_token: digest(admin_token), door, sessions }
    }

    /// Who sent a request with these headers over a connection of `peer`. Errors: 401 for a credential that is not valid,
    /// 403 for who wants to act as somebody else, which is not built: ignoring it would do more than was asked for.
    pub(crate) fn authenticate(&self, peer: &Peer, headers: &HeaderMap) -> Result<User, Error> {
        if headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
            return Err(Error::new(Reason::Forbidden, "impersonation is not supported by this server"));
        }
        if let Peer::Known(user) = peer {
            return Ok(user.clone());
        }
        match (headers.get(header::AUTHORIZATION), peer) {
            (Some(_), _) => self.bearer(bearer_token(headers).ok_or_else(unauthorized)?),
            (None, Peer::Invalid) => Err(unauthorized()),
            (None, _) => Ok(User::anonymous()),
        }
    }

    fn bearer(&self, token: &str) -> Result<User, Error> {
        // Digests are compared: how long that takes tells nothing about the token.
        if digest(token) == self.admin_token {
            return Ok(Identity::admin().0);
        }
        if let Some(user) = self.sessions.user(token, Instant::now()) {
            return Ok(user);
        }
        match bootstrap::authenticate(&self.door.cache().snapshot(), token, self.door.now()) {
            Some(Ok(user)) => Ok(user),
            Some(Err(Refused::Expired)) => Err(Error::new(Reason::Unauthorized, "the token has expired")),
            Some(Err(Refused::Unknown)) | None => Err(unauthorized()),
        }
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
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
        let authenticator =
            Authenticator::new("secret", FrontDoor::new(cache, Options::default()), sessions.clone());
        let ask = |peer: &Peer, headers: &HeaderMap| authenticator.authenticate(peer, headers);
        assert_eq!(ask(&Peer::Unknown, &HeaderMap::new()).unwrap(), User::anonymous());
        assert_eq!(ask(&Peer::Unknown, &headers("Bearer secret")).unwrap(), admin());
        assert_eq!(ask(&Peer::Unknown, &headers("bearer  secret ")).unwrap(), admin());
        for wrong in ["Bearer secret2", "Bearer", "Basic secret", ""] {
            assert_eq!(ask(&Peer::Unknown, &headers(wrong)).unwrap_err().code(), 401, "{wrong}");
        }
        let ada = User::new("ada", &[]);
        let code = sessions.code(&ada, Instant::now());
        let session = sessions.begin(&code, Instant::now()).unwrap();
        assert_eq!(ask(&Peer::Unknown, &headers(&format!("Bearer {}", session.token))).unwrap(), ada);
        assert_eq!(ask(&Peer::Unknown, &headers(&format!("Bearer {code}"))).unwrap_err().code(), 401);
        let acting = HeaderMap::from_iter([(
            header::HeaderName::from_static("impersonate-user"),
            "x".parse().unwrap(),
        )]);
        assert_eq!(ask(&Peer::Known(admin()), &acting).unwrap_err().code(), 403);
        assert_eq!(ask(&Peer::Invalid, &HeaderMap::new()).unwrap_err().code(), 401);
        let node = User::new("system:node:n1", &["system:nodes"]);
        assert_eq!(ask(&Peer::Known(node.clone()), &headers("Bearer wrong")).unwrap(), node);
    }
}
