//! Service accounts: what their tokens say, for whom one may be made, and whether one still counts. Rule: Kubernetes,
//! "Managing Service Accounts", TokenRequest. Signing is not done here.

use super::User;
use super::impersonation::split_account;
use super::rbac::ACCOUNT_PREFIX;
use crate::snapshot::Snapshot;
use crate::validation::volume::{TOKEN_SECONDS, token_lifetime};
use crate::validation::{items, text};
use jiff::Timestamp;
use peapod_api::{Error, FieldError, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who makes the tokens, and whom they are for where nothing else is asked for.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// How long a token counts where nothing is asked for, in seconds.
const LIFETIME_SECONDS: i64 = 3600;
/// What a token is bound to may be under deletion for so long, in seconds.
const GRACE_SECONDS: i64 = 60;
const EXTRA: &str = "authentication.kubernetes.io";
/// The type of Secrets that hold a token,
pub(crate) const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";
/// and their annotation that names the account.
pub(crate) const NAME: &str = "kubernetes.io/service-account.name";

/// What a token says, as RFC 7519 and Kubernetes name it. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whom the token is for.
    pub aud: Vec<String>,
    /// Until when it counts.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// Who made it.
    pub iss: String,
    /// The token's own name.
    pub jti: String,
    /// Of whom it is.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Bound,
    /// Since when it counts.
    pub nbf: i64,
    /// The user's name.
    pub sub: String,
}

/// The service account of a token, and the object without which it does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bound {
    namespace: String,
    serviceaccount: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Reference>,
}

/// An object, and no other one of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    name: String,
    uid: String,
}

impl Reference {
    fn to(object: &Object) -> Reference {
        Reference { name: object.name().into(), uid: object.header.uid.to_string() }
    }
}

/// The groups of every account of `namespace`.
pub(super) fn groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")]
}

/// The user of that name, with the groups that come with it if it is a service account.
pub fn user_of(name: &str) -> User {
    let groups = split_account(name).map(|(namespace, _)| groups(namespace));
    let groups: Vec<&str> = groups.iter().flatten().map(String::as_str).collect();
    User::new(name, &groups)
}

/// Answers a TokenRequest, decoded, for the account: what the token is to say. The request is completed with what was left
/// out. Errors: 404, 409, 422, and 403 for a node that asks for more than its pods' tokens.
pub fn claims(
    snapshot: &Snapshot,
    user: &User,
    (namespace, name): (&str, &str),
    request: &mut Value,
    now: Timestamp,
    id: &str,
) -> Result<Claims, Error> {
    let account = snapshot.find("serviceaccounts", namespace, name);
    let account = account.ok_or_else(|| Error::not_found("serviceaccounts", name))?;
    let lifetime = complete(request)?;
    let reference = &request["spec"]["boundObjectRef"];
    if let Some(node) = user.node() {
        of_own_pod(snapshot, node, (namespace, name), reference)?;
    }
    let iat = now.as_second();
    Ok(Claims {
        aud: items(&request["spec"]["audiences"]).map(|audience| text(audience).into()).collect(),
        exp: iat + lifetime,
        iat,
        iss: ISSUER.into(),
        jti: id.into(),
        kubernetes: bound(snapshot, account, reference)?,
        nbf: iat,
        sub: format!("{ACCOUNT_PREFIX}{namespace}:{name}"),
    })
}

/// What a token says that is kept in a Secret and ends with it.
pub fn kept(account: &Object, secret: &Object, now: Timestamp) -> Claims {
    let iat = now.as_second();
    let (namespace, name) = (account.namespace(), account.name());
    Claims {
        aud: vec![ISSUER.into()],
        exp: iat + TOKEN_SECONDS.end(),
        iat,
        iss: ISSUER.into(),
        jti: secret.header.uid.to_string(),
        kubernetes: Bound {
            namespace: namespace.into(),
            serviceaccount: Reference::to(account),
            secret: Some(Reference::to(secret)),
            ..Bound::default()
        },
        nbf: iat,
        sub: format!("{ACCOUNT_PREFIX}{namespace}:{name}"),
    }
}

/// Fills in audience and lifetime, and gives the lifetime in seconds.
fn complete(request: &mut Value) -> Result<i64, Error> {
    let spec = &mut request["spec"];
    if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
        spec["audiences"] = [ISSUER].as_slice().into();
    }
    if spec["expirationSeconds"].is_null() {
        spec["expirationSeconds"] = LIFETIME_SECONDS.into();
    }
    let lifetime = spec["expirationSeconds"].as_i64().unwrap_or_default();
    let Some(why) = token_lifetime(lifetime) else { return Ok(lifetime) };
    let fault = FieldError::invalid("spec.expirationSeconds", &lifetime.into(), why);
    Err(Error::invalid("authentication.k8s.io", "TokenRequest", "", &[fault]))
}

/// A node gets tokens of accounts for pods that it runs, and they end with the pod.
fn of_own_pod(
    snapshot: &Snapshot,
    node: &str,
    (namespace, name): (&str, &str),
    reference: &Value,
) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::forbidden("serviceaccounts", name, why));
    let of_pod = reference["apiVersion"] == "v1" && reference["kind"] == "Pod";
    if !of_pod || text(&reference["name"]).is_empty() {
        return refuse("node requested token not bound to a pod");
    }
    if text(&reference["uid"]).is_empty() {
        return refuse("node requested token with a pod binding without a uid");
    }
    let pod = snapshot.find("pods", namespace, text(&reference["name"]));
    let pod = pod.ok_or_else(|| Error::not_found("pods", text(&reference["name"])))?;
    if pod.header.node.as_deref() != Some(node) {
        return refuse("node requested token bound to a pod scheduled on a different node");
    }
    Ok(())
}

/// What the token is bound to.
fn bound(snapshot: &Snapshot, account: &Object, reference: &Value) -> Result<Bound, Error> {
    let mut bound = Bound {
        namespace: account.namespace().into(),
        serviceaccount: Reference::to(account),
        ..Bound::default()
    };
    if reference.is_null() {
        return Ok(bound);
    }
    let (version, kind, name) =
        (text(&reference["apiVersion"]), text(&reference["kind"]), text(&reference["name"]));
    let (resource, namespace) = match (version, kind) {
        ("v1", "Pod") => ("pods", account.namespace()),
        ("v1", "Secret") => ("secrets", account.namespace()),
        ("v1", "Node") => ("nodes", ""),
        _ => {
            return Err(Error::bad_request(format!(
                "cannot bind token to object of type {version}, Kind={kind}"
            )));
        }
    };
    let found = snapshot.find(resource, namespace, name).ok_or_else(|| Error::not_found(resource, name))?;
    let wanted = text(&reference["uid"]);
    if !wanted.is_empty() && *wanted != *found.header.uid {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been \
             deleted and then recreated"
        );
        return Err(Error::conflict(kind, name, &why));
    }
    match resource {
        "pods" => {
            let other = &found.value()["spec"]["serviceAccountName"];
            if other != account.name() {
                let why = "to pod running with different serviceaccount name.";
                let own = account.name();
                return Err(Error::bad_request(format!(
                    "cannot bind token for serviceaccount {own:?} {why}"
                )));
            }
            let node = found.header.node.as_deref().and_then(|node| snapshot.find("nodes", "", node));
            bound.node = node.map(|node| Reference::to(node));
            bound.pod = Some(Reference::to(found));
        }
        "secrets" => bound.secret = Some(Reference::to(found)),
        _ => bound.node = Some(Reference::to(found)),
    }
    Ok(bound)
}

impl Claims {
    /// Those of `wanted` that the token is for.
    pub fn audiences(&self, wanted: &[String]) -> Vec<String> {
        wanted.iter().filter(|audience| self.aud.contains(audience)).cloned().collect()
    }

    /// Whose token this is, its signature being good. Errors: why it does not count, or not any more.
    pub fn user(&self, snapshot: &Snapshot, now: Timestamp) -> Result<User, String> {
        let now = now.as_second();
        if self.iss != ISSUER {
            return Err(format!("the token was not made by {ISSUER}"));
        }
        if now >= self.exp {
            return Err("service account token has expired".into());
        }
        if now < self.nbf {
            return Err("service account token is not valid yet".into());
        }
        let Bound { namespace, serviceaccount, pod, secret, node } = &self.kubernetes;
        if self.sub != format!("{ACCOUNT_PREFIX}{namespace}:{}", serviceaccount.name) {
            return Err("the token's subject is not its service account".into());
        }
        let find = |resource: &str, namespace: &str, wanted: &Reference| {
            let found = snapshot.find(resource, namespace, &wanted.name);
            found.is_some_and(|found| {
                let deleted = found.header.deleted.map(Timestamp::as_second);
                *found.header.uid == *wanted.uid && deleted.is_none_or(|since| since + GRACE_SECONDS > now)
            })
        };
        if !find("serviceaccounts", namespace, serviceaccount) {
            return Err(format!("serviceaccount {namespace}/{} has been deleted", serviceaccount.name));
        }
        let gone = "service account token has been invalidated";
        let missing = |resource: &str, wanted: &Option<Reference>| {
            wanted.as_ref().is_some_and(|wanted| !find(resource, namespace, wanted))
        };
        // A pod's token says on which node it runs, but is bound to the pod alone.
        let off_node = pod.is_none() && node.as_ref().is_some_and(|node| !find("nodes", "", node));
        if missing("pods", pod) || missing("secrets", secret) || off_node {
            return Err(gone.into());
        }
        Ok(self.describe())
    }

    fn describe(&self) -> User {
        let bound = &self.kubernetes;
        let groups = groups(&bound.namespace);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let mut user = User::new(&self.sub, &groups);
        user.uid = bound.serviceaccount.uid.clone();
        let mut say = |key: &str, value: String| user.extra.push((format!("{EXTRA}/{key}"), vec![value]));
        say("credential-id", format!("JTI={}", self.jti));
        for (noun, object) in [("node", &bound.node), ("pod", &bound.pod)] {
            if let Some(object) = object {
                say(&format!("{noun}-name"), object.name.clone());
                say(&format!("{noun}-uid"), object.uid.clone());
            }
        }
        user
    }
}

#[cfg(test)]
mod tests;
