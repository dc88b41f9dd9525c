//! The table: one row per kind that the server serves. Routes, discovery, schema names, storage keys, printing and the
//! generic conformance test are all derived from it.

macro_rules! texts { ($($text:literal),*) => { vec![$(t($text)),*] } }

mod admission;
mod apps;
mod batch;
mod cluster;
mod core;
mod events;
mod network;
mod rbac;
mod review;
mod storage;

use crate::kind::{Cell, Column, Kind, Nature, Scope, Subresource};
use crate::well_known::NODE_LEASES;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

type Text = Cow<'static, str>;

const fn t(text: &'static str) -> Text {
    Cow::Borrowed(text)
}

const fn col(name: &'static str, cell: Cell) -> Column {
    typed(name, "string", cell)
}

const fn number(name: &'static str, path: &'static str) -> Column {
    typed(name, "integer", Cell::Path(t(path)))
}

const fn typed(name: &'static str, type_: &'static str, cell: Cell) -> Column {
    Column { name: t(name), type_: t(type_), format: t(""), description: t(""), priority: 0, cell }
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { name: t(name), type_: t("string"), format: t(""), description: t(""), priority: 1, cell }
}

const fn path(text: &'static str) -> Cell {
    Cell::Path(t(text))
}

const NAME: Column = col("Name", Cell::Name);
const AGE: Column = col("Age", Cell::Age);
/// Of the pods that a kind makes.
const CONTAINERS: Column = wide("Containers", Cell::Computed("template.containers"));
const IMAGES: Column = wide("Images", Cell::Computed("template.images"));
const SELECTOR: Column = wide("Selector", Cell::Computed("spec.selector"));

/// What most rows share: a namespaced kind in `v1` that somebody acts on, printed by name and age.
fn row(group: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: t(group),
        version: t("v1"),
        kind: t(kind),
        plural: t(plural),
        singular: Cow::Owned(kind.to_ascii_lowercase()),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        subresources: Vec::new(),
        fields: Vec::new(),
        columns: vec![NAME, AGE],
        acted_on: true,
        deprecation: t(""),
        nature: Nature::Stored,
        custom: false,
    }
}

/// Every kind, in the order of discovery.
pub static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let groups = [
        core::rows(),
        apps::rows(),
        events::rows(),
        batch::rows(),
        cluster::rows(),
        network::rows(),
        rbac::rows(),
        review::rows(),
        storage::rows(),
        admission::rows(),
    ];
    groups.into_iter().flatten().collect()
});

/// Kinds that are another form of another row's: their own apiVersion and kind, and the other's apiVersion, as which they
/// are stored if they are.
const FORMS: [(&str, &str, &str); 3] = [
    ("autoscaling/v1", "HorizontalPodAutoscaler", "autoscaling/v2"),
    ("events.k8s.io/v1", "Event", "v1"),
    ("authentication.k8s.io/v1beta1", "SelfSubjectReview", "authentication.k8s.io/v1"),
];

/// The row as which objects of `kind` are stored, if it is not `kind` itself.
pub fn stored_as(kind: &Kind) -> Option<&'static Kind> {
    let own = |form: &&(&str, &str, &str)| form.1 == kind.kind && form.0 == kind.api_version();
    FORMS.iter().find(own).and_then(|(_, kind, stored)| of_object(stored, kind))
}

/// The rows by group and plural name; of several versions the first.
static BY_NAME: LazyLock<HashMap<(&str, &str), &Kind>> =
    LazyLock::new(|| KINDS.iter().rev().map(|kind| ((&*kind.group, &*kind.plural), kind)).collect());

/// The row of a resource, by group and plural name; of several versions the one that is stored.
pub fn lookup(group: &str, plural: &str) -> Option<&'static Kind> {
    BY_NAME.get(&(group, plural)).copied()
}

/// The row of a storage key's resource: `pods`, `deployments.apps`.
pub fn of_resource(resource: &str) -> Option<&'static Kind> {
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    lookup(group, plural)
}

/// The row of a kind, by `apiVersion` and `kind`.
pub fn of_object(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    KINDS.iter().find(|row| row.group == group && row.version == version && row.kind == kind)
}

/// Resources and namespaces that are kept in memory only: heartbeats would wear out flash.
const VOLATILE: &[(&str, &str)] = &[("leases.coordination.k8s.io", NODE_LEASES)];

/// Whether objects of `resource` in `namespace` are kept in memory only.
pub fn is_volatile(resource: &str, namespace: &str) -> bool {
    VOLATILE.contains(&(resource, namespace))
}

/// Whether any object of `resource` (empty: of any) in `namespace` (none: in any) is kept in memory only.
pub fn includes_volatile(resource: &str, namespace: Option<&str>) -> bool {
    let named = |(r, n): &(&str, &str)| {
        (resource.is_empty() || *r == resource) && namespace.is_none_or(|namespace| *n == namespace)
    };
    VOLATILE.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for kind in KINDS.iter().filter(|kind| stored_as(kind).is_none()) {
            assert_eq!(lookup(&kind.group, &kind.plural), Some(kind));
            assert_eq!(of_resource(&kind.resource()), Some(kind));
            assert_eq!(of_object(&kind.api_version(), &kind.kind), Some(kind));
        }
    }

    #[test]
    fn what_nothing_acts_on_is_known() {
        let idle: Vec<String> = KINDS
            .iter()
            .filter(|kind| !kind.acted_on)
            .map(|kind| format!("{} {}", kind.api_version(), kind.kind))
            .collect();
        let known = [
            "v1 PersistentVolume",
            "v1 PersistentVolumeClaim",
            "v1 ReplicationController",
            "apps/v1 StatefulSet",
            "apps/v1 DaemonSet",
            "autoscaling/v2 HorizontalPodAutoscaler",
            "autoscaling/v1 HorizontalPodAutoscaler",
            "batch/v1 CronJob",
            "batch/v1 Job",
            "node.k8s.io/v1 RuntimeClass",
            "networking.k8s.io/v1 Ingress",
            "networking.k8s.io/v1 IngressClass",
            "networking.k8s.io/v1 NetworkPolicy",
            "networking.k8s.io/v1 IPAddress",
            "networking.k8s.io/v1 ServiceCIDR",
            "storage.k8s.io/v1 CSIDriver",
            "storage.k8s.io/v1 CSINode",
            "storage.k8s.io/v1 CSIStorageCapacity",
            "storage.k8s.io/v1 StorageClass",
            "storage.k8s.io/v1 VolumeAttachment",
            "storage.k8s.io/v1 VolumeAttributesClass",
            "flowcontrol.apiserver.k8s.io/v1 FlowSchema",
            "flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration",
        ];
        assert_eq!(idle, known);
    }

    #[test]
    fn forms_of_a_kind_share_its_storage_and_its_fields() {
        let forms: Vec<_> = KINDS.iter().filter_map(|kind| Some((kind, stored_as(kind)?))).collect();
        assert_eq!(forms.len(), FORMS.len());
        for (form, stored) in forms {
            assert_eq!(form.stored_resource(), stored.resource());
            assert!(form.fields.len() <= stored.fields.len() && form.scope == stored.scope);
        }
    }
}
