//! Certificate signing requests: what one asks for, and which of this cluster's signers may sign it. Pure.
//! Rules: Kubernetes, "Certificates and Certificate Signing Requests", the signers that it builds in.

use crate::auth::{Attributes, BOOTSTRAPPERS, MASTERS, NODE_PREFIX, NODES, User, allowed};
use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::well_known::KUBELET_CLIENT;
use peapod_api::{Error, Kind, Subresource};
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, ParsedExtension};

/// The resource, as storage keys name it.
pub const RESOURCE: &str = "certificatesigningrequests.certificates.k8s.io";
/// Signs what users show to the API server, once an administrator has approved it.
pub const API_CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// The label of a PEM block that holds a request.
const PEM_LABEL: &str = "CERTIFICATE REQUEST";

/// Whom a request wants a certificate for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The subject's CN.
    pub common_name: String,
    /// The subject's Os.
    pub organizations: Vec<String>,
    /// The key that is to be certified: a SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// Whether it names hosts, addresses or the like.
    pub has_alternative_names: bool,
}

impl Wanted {
    /// Reads `spec.request` of a CertificateSigningRequest. Errors: it is no such request; a few words.
    pub fn of(object: &Value) -> Result<Wanted, String> {
        Wanted::read(&pem_of(object).ok_or("it is no base64 of text")?)
    }

    /// Reads a request in PEM. Whether its signature is good is seen when it is signed.
    pub fn read(pem: &str) -> Result<Wanted, String> {
        let block = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).next();
        let block = block.and_then(Result::ok).filter(|block| block.label == PEM_LABEL);
        let block = block.ok_or_else(|| format!("PEM block type must be {PEM_LABEL}"))?;
        let (_, request) = X509CertificationRequest::from_der(&block.contents)
            .map_err(|error| format!("it cannot be read: {error}"))?;
        let parts = &request.certification_request_info;
        let name = |text: Result<&str, _>| text.unwrap_or_default().to_string();
        let common_name = parts.subject.iter_common_name().map(|cn| name(cn.as_str())).collect::<Vec<_>>();
        let [common_name] = <[String; 1]>::try_from(common_name).unwrap_or_default();
        let mut extensions = request.requested_extensions().into_iter().flatten();
        Ok(Wanted {
            common_name,
            organizations: parts.subject.iter_organization().map(|o| name(o.as_str())).collect(),
            public_key: parts.subject_pki.raw.to_vec(),
            has_alternative_names: extensions
                .any(|e| matches!(e, ParsedExtension::SubjectAlternativeName(_))),
        })
    }

    /// The node that the certificate would stand for; none for anybody else.
    pub fn node(&self) -> Option<&str> {
        let name = self.common_name.strip_prefix(NODE_PREFIX).filter(|name| !name.is_empty())?;
        (self.organizations == [NODES]).then_some(name)
    }

    /// Whether `signer` may sign it for these uses. Errors: what speaks against it.
    pub fn permit(&self, signer: &str, usages: &[&str]) -> Result<(), String> {
        let allowed = ["digital signature", "key encipherment", "client auth"];
        if let Some(other) = usages.iter().find(|usage| !allowed.contains(*usage)) {
            return Err(format!("usage {other:?} is none of {allowed:?}"));
        }
        if !usages.contains(&"client auth") {
            return Err("usage \"client auth\" is missing".into());
        }
        match signer {
            KUBELET_CLIENT if self.node().is_none() => {
                Err(format!("the subject must be CN={NODE_PREFIX}NAME and O={NODES}"))
            }
            KUBELET_CLIENT if self.has_alternative_names => {
                Err("the request names hosts or addresses".into())
            }
            API_CLIENT if self.organizations.iter().any(|o| o == MASTERS) => {
                Err(format!("no certificate of the group {MASTERS} is signed on request"))
            }
            API_CLIENT if self.common_name.is_empty() => Err("the subject has no common name".into()),
            KUBELET_CLIENT | API_CLIENT => Ok(()),
            other => Err(format!("the signer {other:?} is not known here")),
        }
    }
}

/// The text of `spec.request`.
pub fn pem_of(object: &Value) -> Option<String> {
    String::from_utf8(STANDARD.decode(text(&object["spec"]["request"])).ok()?).ok()
}

/// The uses that a CertificateSigningRequest asks for.
pub fn usages(object: &Value) -> Vec<&str> {
    items(&object["spec"]["usages"]).map(text).collect()
}

/// Whether the one who asks may have this certificate without anybody's approval: a machine that joins as a node, or a
/// node for itself.
pub fn is_expected(object: &Value, wanted: &Wanted) -> bool {
    let Some(node) = wanted.node().filter(|_| object["spec"]["signerName"] == KUBELET_CLIENT) else {
        return false;
    };
    let in_group = |group: &str| items(&object["spec"]["groups"]).any(|own| own == group);
    let itself = object["spec"]["username"] == format!("{NODE_PREFIX}{node}") && in_group(NODES);
    itself || in_group(BOOTSTRAPPERS)
}

/// Whether a machine that is not yet a node asks.
pub fn is_joining(object: &Value) -> bool {
    items(&object["spec"]["groups"]).any(|own| own == BOOTSTRAPPERS)
}

/// Reads what a signer has issued: base64 of PEM, certificates and nothing else. Nothing is well. Errors: why it is none.
pub(crate) fn certificates(issued: &str) -> Result<(), String> {
    let pem = STANDARD.decode(issued).map_err(|_| "it is no base64")?;
    let mut blocks = 0;
    for block in x509_parser::pem::Pem::iter_from_buffer(&pem) {
        let block = block.map_err(|error| error.to_string())?;
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        block.parse_x509().map_err(|error| error.to_string())?;
        blocks += 1;
    }
    if blocks == 0 && !pem.is_empty() {
        return Err("must contain at least one CERTIFICATE PEM block".into());
    }
    Ok(())
}

/// Whether `user` may ask this of the signer, decide on it (`approve`) or answer for the signer (`sign`), besides being
/// allowed to write the object. Errors: 403.
pub fn admit_write(
    snapshot: &Snapshot,
    user: &User,
    kind: &Kind,
    part: Option<Subresource>,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Error> {
    if kind.resource() != RESOURCE {
        return Ok(());
    }
    let signer = text(&new["spec"]["signerName"]);
    let refuse = |why: &str| Err(Error::forbidden(RESOURCE, text(&new["metadata"]["name"]), why));
    let changes = |field: &str| old.is_some_and(|old| old["status"][field] != new["status"][field]);
    match part {
        None if old.is_none() && signer == API_CLIENT && is_for(new, MASTERS) => {
            refuse(&format!("use of {API_CLIENT} signer with {MASTERS} group is not allowed"))
        }
        Some(Subresource::Approval) if !may_act(snapshot, user, "approve", signer) => {
            refuse(&format!("user not permitted to approve requests with signerName {signer:?}"))
        }
        Some(Subresource::Status)
            if (changes("certificate") || changes("conditions"))
                && !may_act(snapshot, user, "sign", signer) =>
        {
            refuse(&format!("user not permitted to sign requests with signerName {signer:?}"))
        }
        _ => Ok(()),
    }
}

fn is_for(request: &Value, group: &str) -> bool {
    Wanted::of(request).is_ok_and(|wanted| wanted.organizations.iter().any(|o| o == group))
}

/// A right to a signer may be given for it alone or for all of its domain.
fn may_act(snapshot: &Snapshot, user: &User, verb: &str, signer: &str) -> bool {
    let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    [signer, &format!("{domain}/*")].into_iter().any(|name| {
        let (group, resource) = ("certificates.k8s.io", "signers");
        allowed(snapshot, user, &Attributes { verb, group, resource, name, ..Attributes::default() }).is_ok()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A P-256 request of CN=system:node:edge-1, O=system:nodes, made by openssl.
    pub(crate) const REQUEST: &str = include_str!("certificate/node.csr");

    /// A CertificateSigningRequest that holds it.
    pub(crate) fn object(groups: &[&str], username: &str) -> Value {
        json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": "node-csr-a", "uid": "u"},
            "spec": {"request": STANDARD.encode(REQUEST), "signerName": KUBELET_CLIENT, "groups": groups,
                "username": username, "usages": ["digital signature", "client auth"]}})
    }

    #[test]
    fn a_request_is_read_and_judged() {
        let wanted = Wanted::read(REQUEST).unwrap();
        assert_eq!((wanted.node(), wanted.has_alternative_names), (Some("edge-1"), false));
        assert!(wanted.public_key.len() > 80);
        let uses = ["digital signature", "client auth"];
        assert_eq!(wanted.permit(KUBELET_CLIENT, &uses), Ok(()));
        assert_eq!(wanted.permit(API_CLIENT, &uses), Ok(()));
        assert!(wanted.permit("example.com/other", &uses).is_err());
        assert!(wanted.permit(KUBELET_CLIENT, &["client auth", "server auth"]).is_err());
        assert!(wanted.permit(KUBELET_CLIENT, &["digital signature"]).is_err());
        let root = Wanted { organizations: vec![MASTERS.into()], ..wanted.clone() };
        assert!(root.permit(API_CLIENT, &uses).is_err() && root.permit(KUBELET_CLIENT, &uses).is_err());
        let with_hosts = Wanted { has_alternative_names: true, ..wanted };
        assert!(with_hosts.permit(KUBELET_CLIENT, &uses).is_err());
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(Wanted::read(text).unwrap_err().contains(PEM_LABEL), "{text}");
        }
    }

    #[test]
    fn who_may_have_it_unasked() {
        let wanted = Wanted::read(REQUEST).unwrap();
        for (groups, username, expected) in [
            (&[BOOTSTRAPPERS][..], "system:bootstrap:abcdef", true),
            (&[NODES][..], "system:node:edge-1", true),
            (&[NODES][..], "system:node:edge-2", false),
            (&[][..], "system:node:edge-1", false),
            (&[MASTERS][..], "kubernetes-admin", false),
        ] {
            assert_eq!(is_expected(&object(groups, username), &wanted), expected, "{username}");
        }
    }
}
