//! Machines that join: the tokens that they come with, and the certificates that they may ask for. Nodes renew their
//! certificates in the same way. Rule: Kubernetes, "Authenticating with Bootstrap Tokens".

use super::{Attributes, BOOTSTRAPPERS, User};
use crate::certificate::RESOURCE;
use crate::snapshot::Snapshot;
use crate::validation::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use peapod_api::Object;
use peapod_api::well_known::{JOIN_TOKEN, JOIN_TOKEN_PREFIX};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The namespace of the Secrets that are tokens.
pub const NAMESPACE: &str = "kube-system";
/// The names of those who come with one: this and the token's id.
const USER_PREFIX: &str = "system:bootstrap:";
/// Characters of an id and of a secret.
const LENGTHS: (usize, usize) = (6, 16);

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is none like it, or it is not for this use.
    Unknown,
    /// It was good once.
    Expired,
}

/// Takes `ID.SECRET` apart; none if it does not have that form.
pub fn split(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let fits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    (fits(id, LENGTHS.0) && fits(secret, LENGTHS.1)).then_some((id, secret))
}

/// Who comes with `token`; none if it does not have the form of one. That it has expired is told only to who knows its
/// secret.
pub fn authenticate(snapshot: &Snapshot, token: &str, now: Timestamp) -> Option<Result<User, Refused>> {
    let (id, secret) = split(token)?;
    let found = snapshot.find("secrets", NAMESPACE, &format!("{JOIN_TOKEN_PREFIX}{id}"));
    Some(found.map_or(Err(Refused::Unknown), |object| judge(object, id, secret, now)))
}

fn judge(object: &Object, id: &str, secret: &str, now: Timestamp) -> Result<User, Refused> {
    let value = object.value();
    let data = &value["data"];
    // Digests are compared: how long that takes tells nothing about the secret.
    let matches = Sha256::digest(read(data, "token-secret")) == Sha256::digest(secret);
    let is_meant = value["type"] == JOIN_TOKEN && read(data, "token-id") == id;
    let is_for_this = read(data, "usage-bootstrap-authentication") == "true";
    if !matches || !is_meant || !is_for_this || object.header.deleted.is_some() {
        return Err(Refused::Unknown);
    }
    if expiration(&value).is_some_and(|end| end <= now) {
        return Err(Refused::Expired);
    }
    let more = read(data, "auth-extra-groups");
    let more = more.split(',').filter(|group| group.starts_with(&format!("{BOOTSTRAPPERS}:")));
    let groups: Vec<&str> = std::iter::once(BOOTSTRAPPERS).chain(more).collect();
    Ok(User::new(&format!("{USER_PREFIX}{id}"), &groups))
}

/// When the Secret's token ends; none for one that does not. A time that cannot be read has passed.
pub fn expiration(secret: &Value) -> Option<Timestamp> {
    let end = read(&secret["data"], "expiration");
    (!end.is_empty()).then(|| end.parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

fn read(data: &Value, key: &str) -> String {
    STANDARD.decode(text(&data[key])).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// Machines that join, and nodes, may ask for certificates and see what became of what they asked for.
pub(super) fn may(snapshot: &Snapshot, user: &User, asked: &Attributes<'_>) -> bool {
    let concerned = asked.is_of("certificates.k8s.io", "certificatesigningrequests", "");
    if !concerned || !(user.is_in(BOOTSTRAPPERS) || user.node().is_some()) {
        return false;
    }
    let own = |object: &Object| object.value()["spec"]["username"] == user.name;
    match asked.verb {
        "create" => true,
        _ => asked.reads() && snapshot.find(RESOURCE, "", asked.name).is_some_and(|object| own(object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::authorize;
    use crate::certificate;
    use crate::snapshot::Change;
    use peapod_api::{Draft, Key, kinds};
    use serde_json::json;
    use std::sync::Arc;

    const TOKEN: &str = "abcdef.0123456789abcdef";

    fn put(snapshot: &mut Snapshot, resource: &str, namespace: &str, value: Value) {
        let key = Key::new(resource, namespace, value["metadata"]["name"].as_str().unwrap());
        let kind = kinds::of_resource(resource).unwrap();
        let revision = snapshot.revision() + 1;
        let after = Some(Arc::new(Draft::new(kind, key.clone(), value).at(revision)));
        snapshot.apply(&Change::new(revision, key, None, after));
    }

    fn with_token(change: impl Fn(&mut Value)) -> Snapshot {
        let encode = |text: &str| STANDARD.encode(text);
        let mut secret = json!({"type": JOIN_TOKEN, "metadata": {"name": "bootstrap-token-abcdef"}, "data": {
            "token-id": encode("abcdef"), "token-secret": encode("0123456789abcdef"),
            "usage-bootstrap-authentication": encode("true"), "expiration": encode("2030-01-02T00:00:00Z"),
            "auth-extra-groups": encode("system:bootstrappers:peapod,system:masters")}});
        change(&mut secret);
        let mut snapshot = Snapshot::default();
        put(&mut snapshot, "secrets", NAMESPACE, secret);
        snapshot
    }

    #[test]
    fn a_token_is_who_it_says_until_it_expires() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let early = at("2030-01-01T00:00:00Z");
        let good = with_token(|_| {});
        let user = authenticate(&good, TOKEN, early).unwrap().unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert_eq!(user.groups, [BOOTSTRAPPERS, "system:bootstrappers:peapod", "system:authenticated"]);
        assert_eq!(authenticate(&good, TOKEN, at("2030-01-02T00:00:00Z")), Some(Err(Refused::Expired)));
        let wrong = "abcdef.0123456789abcdee";
        assert_eq!(authenticate(&good, wrong, at("2031-01-02T00:00:00Z")), Some(Err(Refused::Unknown)));
        assert_eq!(authenticate(&good, "ghijkl.0123456789abcdef", early), Some(Err(Refused::Unknown)));
        for other in ["", "abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123", "abcdef.0123456789abcdef0"] {
            assert_eq!(authenticate(&good, other, early), None, "{other}");
        }
        let of_other_use = with_token(|s| s["data"]["usage-bootstrap-authentication"] = Value::Null);
        assert_eq!(authenticate(&of_other_use, TOKEN, early), Some(Err(Refused::Unknown)));
        let of_other_type = with_token(|s| s["type"] = "Opaque".into());
        assert_eq!(authenticate(&of_other_type, TOKEN, early), Some(Err(Refused::Unknown)));
    }

    #[test]
    fn who_joins_may_ask_for_a_certificate_and_nothing_else() {
        let mut snapshot = with_token(|_| {});
        let name = "node-csr-a";
        put(
            &mut snapshot,
            RESOURCE,
            "",
            certificate::tests::object(&[BOOTSTRAPPERS], "system:bootstrap:abcdef"),
        );
        let ask = |user: &User, verb: &str, resource: &str, name: &str| {
            let kind = kinds::of_resource(resource).unwrap();
            authorize(&snapshot, user, &Attributes::new(verb, kind, "", name)).is_ok()
        };
        let own = User::new("system:bootstrap:abcdef", &[BOOTSTRAPPERS]);
        let other = User::new("system:bootstrap:ghijkl", &[BOOTSTRAPPERS]);
        let node = User::new("system:node:n", &[super::super::NODES]);
        assert!(ask(&own, "create", RESOURCE, "") && ask(&own, "get", RESOURCE, name));
        assert!(ask(&node, "create", RESOURCE, ""));
        for (user, verb, resource, name) in [
            (&own, "list", RESOURCE, ""),
            (&own, "delete", RESOURCE, name),
            (&own, "update", RESOURCE, name),
            (&own, "get", "nodes", "n"),
            (&own, "create", "nodes", "n"),
            (&own, "list", "secrets", ""),
            (&other, "get", RESOURCE, name),
            (&node, "get", RESOURCE, name),
            (&User::new("jane", &[]), "create", RESOURCE, ""),
        ] {
            assert!(!ask(user, verb, resource, name), "{} {verb} {resource}", user.name);
        }
    }
}
