//! What policies and webhooks are told of a write.

use crate::auth::User;
use crate::cel::Resource;
use crate::served::Served;
use peapod_api::Subresource;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a write is. Where a part has a form of its own (a Scale, a Binding), the objects are in that form.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Who writes.
    pub user: &'a User,
    /// What kind of object.
    pub kind: &'a Served,
    /// Which part of it.
    pub part: Option<Subresource>,
    /// Its name.
    pub name: &'a str,
    /// Its namespace; empty for a cluster-wide kind.
    pub namespace: &'a str,
    /// As it shall be; none for a deletion.
    pub new: Option<&'a Value>,
    /// As it is; none for a creation.
    pub old: Option<&'a Value>,
    /// The `CreateOptions`, `UpdateOptions` or `DeleteOptions` of the request.
    pub options: &'a Value,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

impl Write<'_> {
    /// Kubernetes' word for it.
    pub(super) fn operation(&self) -> &'static str {
        match (self.new, self.old) {
            (_, None) => "CREATE",
            (None, _) => "DELETE",
            _ => "UPDATE",
        }
    }

    pub(super) fn is_of_namespace(&self) -> bool {
        self.kind.group.is_empty() && self.kind.plural == "namespaces"
    }

    /// Group, version and kind of the objects where they are those of a part and not of the kind.
    fn form(&self) -> Option<[&'static str; 3]> {
        match self.part? {
            Subresource::Scale => Some(["autoscaling", "v1", "Scale"]),
            Subresource::Binding => Some(["", "v1", "Binding"]),
            Subresource::Eviction => Some(["policy", "v1", "Eviction"]),
            Subresource::Token => Some(["authentication.k8s.io", "v1", "TokenRequest"]),
            _ => None,
        }
    }

    /// What it is about, for who asks about rights.
    pub(super) fn resource(&self, kind: &Served) -> Resource {
        Resource {
            group: kind.group.to_string(),
            resource: kind.plural.to_string(),
            subresource: self.part.map_or("", Subresource::name).into(),
            namespace: self.place().into(),
            name: self.name.into(),
        }
    }

    /// Its namespace; a namespace is in itself.
    fn place(&self) -> &str {
        if self.is_of_namespace() { self.name } else { self.namespace }
    }

    /// An object of the write for who knows it as `kind`, another form of its own.
    pub fn shown_as(&self, kind: &Served, object: &Value) -> Value {
        if self.form().is_some() { object.clone() } else { self.kind.shown_as(kind, object) }
    }
}

/// The write as an `AdmissionRequest` for who knows its object as `kind`; without the objects.
pub(crate) fn request(write: &Write<'_>, kind: &Served) -> Value {
    let gvk = |kind: &Served| match write.form() {
        Some([group, version, kind]) => json!({"group": group, "version": version, "kind": kind}),
        None => json!({"group": kind.group, "version": kind.version, "kind": kind.kind}),
    };
    let gvr = |kind: &Served| json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
    let part = write.part.map_or("", Subresource::name);
    let user = write.user;
    let extra: BTreeMap<&str, &[String]> =
        user.extra.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
    json!({
        "kind": gvk(kind), "resource": gvr(kind), "subResource": part, "requestKind": gvk(write.kind),
        "requestResource": gvr(write.kind), "requestSubResource": part, "name": write.name, "namespace": write.place(),
        "operation": write.operation(), "options": write.options, "dryRun": write.dry_run,
        "userInfo": {"username": user.name, "uid": user.uid, "groups": user.groups, "extra": extra},
    })
}
