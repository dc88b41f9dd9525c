//! `authorizer`: what expressions of policies and webhooks ask about rights. Rule: Kubernetes, "Common Expression Language in
//! Kubernetes", authorizer library.

use super::functions::Call;
use super::value::Val;
use super::{Budget, Fault, Found};
use crate::auth::{self, Attributes, User, account};
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// What one check costs.
const CHECK_UNITS: usize = 350_000;

/// Somebody's rights, and what has been said so far of what is asked about them.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    snapshot: Snapshot,
    user: User,
    /// What the request that is being judged is about.
    request: Arc<Subject>,
    subject: Option<Subject>,
}

/// What a right is about.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A path that is no resource's.
    Path(String),
    /// An API group; its resources come next.
    Group(String),
    /// A resource.
    Resource(Box<Resource>),
}

/// A resource, or one object of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The answer to a check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    allowed: bool,
    reason: String,
}

impl Rights {
    /// The rights of `user`, who makes a request that is about `request`.
    pub(crate) fn new(snapshot: &Snapshot, user: &User, request: Resource) -> Rights {
        let request = Arc::new(Subject::Resource(Box::new(request)));
        Rights { snapshot: snapshot.clone(), user: user.clone(), request, subject: None }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match &self.subject {
            None => "kubernetes.authorization.Authorizer",
            Some(Subject::Path(_)) => "kubernetes.authorization.PathCheck",
            Some(Subject::Group(_)) => "kubernetes.authorization.GroupCheck",
            Some(Subject::Resource(_)) => "kubernetes.authorization.ResourceCheck",
        }
    }

    /// `authorizer.requestResource`
    pub(super) fn field(&self, name: &str) -> Option<Val> {
        let is_it = self.subject.is_none() && name == "requestResource";
        is_it.then(|| self.about((*self.request).clone()))
    }

    fn about(&self, subject: Subject) -> Val {
        Val::Rights(Arc::new(Rights { subject: Some(subject), ..self.clone() }))
    }

    fn of_account(&self, namespace: &str, name: &str) -> Val {
        let user = account::user_of(&format!("{}{namespace}:{name}", auth::rbac::ACCOUNT_PREFIX));
        Val::Rights(Arc::new(Rights { user, ..self.clone() }))
    }

    fn check(&self, verb: &str) -> Option<Decision> {
        let found = match self.subject.as_ref()? {
            Subject::Path(path) => auth::allowed_path(&self.snapshot, &self.user, verb, path),
            Subject::Group(_) => return None,
            Subject::Resource(resource) => {
                let asked = Attributes {
                    verb,
                    group: &resource.group,
                    resource: &resource.resource,
                    subresource: &resource.subresource,
                    namespace: &resource.namespace,
                    name: &resource.name,
                    fields: None,
                };
                auth::allowed(&self.snapshot, &self.user, &asked)
            }
        };
        Some(match found {
            Ok(ground) => Decision { allowed: true, reason: ground.reason() },
            Err(reason) => Decision { allowed: false, reason },
        })
    }
}

pub(super) fn call(call: Call<'_>, budget: &mut Budget) -> Option<Found> {
    let [subject, rest @ ..] = call.arguments else { return None };
    match subject {
        Val::Rights(rights) => ask(rights, call.name, rest, budget),
        Val::Decision(decision) if rest.is_empty() => Some(Ok(match call.name {
            "allowed" => Val::Bool(decision.allowed),
            "reason" => decision.reason.as_str().into(),
            // The rules of this server are always there to be asked.
            "errored" => Val::Bool(false),
            "error" => "".into(),
            _ => return None,
        })),
        _ => None,
    }
}

fn ask(rights: &Rights, name: &str, arguments: &[Val], budget: &mut Budget) -> Option<Found> {
    let texts: Option<Vec<&str>> = arguments
        .iter()
        .map(|value| if let Val::String(text) = value { Some(&**text) } else { None })
        .collect();
    let found = match (name, &rights.subject, texts?.as_slice()) {
        ("path", None, [""]) => return Some(Err(Fault::new("path must not be empty"))),
        ("path", None, [path]) => rights.about(Subject::Path(path.to_string())),
        ("group", None, [group]) => rights.about(Subject::Group(group.to_string())),
        ("serviceAccount", None, [namespace, name]) => rights.of_account(namespace, name),
        ("resource", Some(Subject::Group(group)), [resource]) => {
            let (group, resource) = (group.clone(), resource.to_string());
            rights.about(Subject::Resource(Box::new(Resource { group, resource, ..Resource::default() })))
        }
        ("subresource" | "namespace" | "name", Some(Subject::Resource(resource)), [text]) => {
            let (mut resource, text) = (resource.clone(), text.to_string());
            match name {
                "subresource" => resource.subresource = text,
                "namespace" => resource.namespace = text,
                _ => resource.name = text,
            }
            rights.about(Subject::Resource(resource))
        }
        // No rule of this server tells requests apart by what they select.
        ("fieldSelector" | "labelSelector", Some(Subject::Resource(resource)), [_]) => {
            rights.about(Subject::Resource(resource.clone()))
        }
        ("check", _, [verb]) => {
            if let Err(fault) = budget.spend(CHECK_UNITS) {
                return Some(Err(fault));
            }
            Val::Decision(Arc::new(rights.check(verb)?))
        }
        _ => return None,
    };
    Some(Ok(found))
}
