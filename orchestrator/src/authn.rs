//! Who is asking: a client certificate, a bearer token, or nobody.

use http::{HeaderMap, header};
use peapod_api::Error;
use peapod_api::error::Reason;
use sha2::{Digest, Sha256};

/// The group of everybody who has proved to be somebody.
const AUTHENTICATED: &str = "system:authenticated";
/// The group that may do everything.
pub(crate) const MASTERS: &str = "system:masters";
/// The group of the nodes.
pub(crate) const NODES: &str = "system:nodes";

/// A user and the groups that he is in, as the authorizer sees him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// e.g. `kubernetes-admin` or `system:node:edge-1`.
    pub name: String,
    /// e.g. `system:masters`; `system:authenticated` is added for everybody but the anonymous.
    pub groups: Vec<String>,
}

impl Identity {
    /// A user in `groups` and in `system:authenticated`.
    pub fn new(name: impl Into<String>, mut groups: Vec<String>) -> Identity {
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        Identity { name: name.into(), groups }
    }

    /// The administrator, who may do everything.
    pub fn admin() -> Identity {
        Identity::new("kubernetes-admin", vec![MASTERS.into()])
    }

    /// The agent of the node `name`.
    pub fn node(name: &str) -> Identity {
        Identity::new(format!("system:node:{name}"), vec![NODES.into()])
    }

    /// Nobody in particular.
    pub fn anonymous() -> Identity {
        Identity { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] }
    }

    /// Whether the user is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// What the connection itself proves of its other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A valid client certificate, or a connection inside this process.
    Known(Identity),
    /// A client certificate that proves nothing.
    Invalid,
    /// No certificate: the request itself has to prove something.
    Unknown,
}

/// Judges each request.
pub(crate) struct Authenticator {
    admin_token: [u8; 32],
}

impl Authenticator {
    /// One that takes `admin_token` for the administrator's.
    pub(crate) fn new(admin_token: &str) -> Authenticator {
        Authenticator { admin_token: digest(admin_token) }
    }

    /// Who sent a request with these headers over a connection of `peer`. Errors: 401 for a credential that is not valid.
    pub(crate) fn authenticate(&self, peer: &Peer, headers: &HeaderMap) -> Result<Identity, Error> {
        if let Peer::Known(identity) = peer {
            return Ok(identity.clone());
        }
        match (headers.get(header::AUTHORIZATION), peer) {
            (Some(value), _) => self.bearer(value.to_str().unwrap_or_default()),
            (None, Peer::Invalid) => Err(unauthorized()),
            (None, _) => Ok(Identity::anonymous()),
        }
    }

    fn bearer(&self, authorization: &str) -> Result<Identity, Error> {
        let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
        // Digests are compared: how long that takes tells nothing about the token.
        let valid = scheme.eq_ignore_ascii_case("bearer") && digest(token.trim()) == self.admin_token;
        if valid { Ok(Identity::admin()) } else { Err(unauthorized()) }
    }
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

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[test]
    fn each_credential_is_judged() {
        let authenticator = Authenticator::new("secret");
        let ask = |peer: &Peer, headers: &HeaderMap| authenticator.authenticate(peer, headers);
        assert_eq!(ask(&Peer::Unknown, &HeaderMap::new()).unwrap(), Identity::anonymous());
        assert_eq!(ask(&Peer::Unknown, &headers("Bearer secret")).unwrap(), Identity::admin());
        assert_eq!(ask(&Peer::Unknown, &headers("bearer  secret ")).unwrap(), Identity::admin());
        for wrong in ["Bearer secret2", "Bearer", "Basic secret", ""] {
            assert_eq!(ask(&Peer::Unknown, &headers(wrong)).unwrap_err().code(), 401, "{wrong}");
        }
        assert_eq!(ask(&Peer::Invalid, &HeaderMap::new()).unwrap_err().code(), 401);
        let node = Identity::node("n1");
        assert!(node.is_in(NODES) && node.is_in(AUTHENTICATED));
        assert_eq!(ask(&Peer::Known(node.clone()), &headers("Bearer wrong")).unwrap(), node);
    }
}
