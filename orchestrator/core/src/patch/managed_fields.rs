//! Who manages which field: `metadata.managedFields` after a create, an update or a patch.

use super::field_set::FieldSet;
use super::structure::{Comparison, compare};
use crate::schema::Type;
use crate::schema::normalize::zero;
use jiff::Timestamp;
use peapod_api::meta::time;
use serde_json::{Map, Value, json};

/// Most entries of operation `Update` on one object; the oldest are folded into one beyond that.
const MAX_UPDATE_ENTRIES: usize = 10;
const ANCIENT: &str = "ancient-changes";
/// Fields of the metadata that belong to nobody.
const UNOWNED: [&[&str]; 9] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "resourceVersion"],
];

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// The request's `fieldManager`, or what stands for it (the user agent up to its first slash).
    pub manager: &'a str,
    /// The request's apiVersion, e.g. `apps/v1`.
    pub api_version: &'a str,
    /// `status`, `scale` …; empty for the object itself.
    pub subresource: &'a str,
    /// Whether the kind has a `status` endpoint, so that the others do not write the status.
    pub status_apart: bool,
    /// Metadata that the `status` endpoint leaves alone.
    pub status_keeps: &'static [&'static str],
    /// The time of the request.
    pub now: Timestamp,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) manager: String,
    pub(crate) applied: bool,
    pub(crate) api_version: String,
    pub(crate) time: Option<String>,
    pub(crate) subresource: String,
    pub(crate) set: FieldSet,
}

impl Entry {
    /// An entry of `operation` that owns nothing yet.
    pub(crate) fn new(operation: &Operation<'_>, applied: bool) -> Entry {
        Entry {
            manager: operation.manager.into(),
            applied,
            api_version: operation.api_version.into(),
            time: Some(time(operation.now)),
            subresource: operation.subresource.into(),
            set: FieldSet::default(),
        }
    }

    /// Whether both are of one manager; an applier is the same under every version.
    pub(crate) fn is_same(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.api_version == other.api_version)
    }

    fn read(value: &Value) -> Option<Entry> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        let applied = match text("operation").as_str() {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        Some(Entry {
            manager: text("manager"),
            applied,
            api_version: Some(text("apiVersion")).filter(|version| !version.is_empty())?,
            time: Some(text("time")).filter(|time| !time.is_empty()),
            subresource: text("subresource"),
            set: FieldSet::from_value(value.get("fieldsV1").unwrap_or(&json!({})))?,
        })
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.applied { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.set.to_value(),
        });
        if let Some(time) = &self.time {
            entry["time"] = time.as_str().into();
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }
}

/// Records in `object` what `operation` changed: `live` is the stored object, None for a create. Both are normalized and
/// defaulted. Entries that the client sent in `object` replace the stored ones unless they are malformed or the write
/// goes to a subresource; a single empty entry clears them. A stored object that has none is not tracked until somebody
/// applies to it.
pub fn update(ty: &Type, live: Option<&Value>, object: &mut Value, operation: &Operation<'_>) {
    let mut entries = entries_to_start_from(live, object, operation);
    if live.is_some() && entries.is_empty() {
        return write(object, entries);
    }
    let difference = match live {
        Some(live) => compare(ty, live, object),
        None => compare(ty, &zero(ty), object),
    };
    let difference = owned_part(difference, operation);
    take(&mut entries, &difference);
    let mut own = Entry::new(operation, false);
    own.set = difference.modified.union(&difference.added);
    if !own.set.is_empty() {
        match entries.iter_mut().find(|entry| entry.is_same(&own)) {
            Some(entry) => {
                entry.time = own.time;
                entry.set = std::mem::take(&mut entry.set).union(&own.set);
            }
            None => entries.push(own),
        }
    }
    fold_oldest(&mut entries);
    write(object, entries);
}

/// The entries of an object; malformed ones make it as if there were none.
pub(crate) fn read(object: &Value) -> Vec<Entry> {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    list.and_then(|list| list.iter().map(Entry::read).collect()).unwrap_or_default()
}

/// Sets the entries of an object, in Kubernetes' order.
pub(crate) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    entries.sort_by(|a, b| {
        let key = |e: &Entry| {
            (!e.applied, e.time.clone(), e.manager.clone(), e.api_version.clone(), e.subresource.clone())
        };
        key(a).cmp(&key(b))
    });
    let Some(map) = object.as_object_mut() else { return };
    let metadata = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), entries.iter().map(Entry::write).collect());
    }
}

fn entries_to_start_from(live: Option<&Value>, object: &Value, operation: &Operation<'_>) -> Vec<Entry> {
    let stored = || live.map(read).unwrap_or_default();
    if !operation.subresource.is_empty() {
        return stored();
    }
    let sent = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    if sent.is_some_and(|list| list.len() == 1 && list[0].as_object().is_some_and(Map::is_empty)) {
        return Vec::new();
    }
    let read = read(object);
    if read.is_empty() { stored() } else { read }
}

/// `difference` without what nobody owns and without what this endpoint does not write.
pub(crate) fn owned_part(mut difference: Comparison, operation: &Operation<'_>) -> Comparison {
    for set in [&mut difference.added, &mut difference.modified, &mut difference.removed] {
        strip(set, operation);
    }
    difference
}

/// Removes from `set` what nobody owns and what the endpoint does not write: who names that in a configuration does not own it.
pub(crate) fn strip(set: &mut FieldSet, operation: &Operation<'_>) {
    for path in UNOWNED {
        set.remove(path);
    }
    set.remove(&["metadata", "managedFields"]);
    if let Some(metadata) = set.children.get_mut("f:metadata") {
        metadata.owned = false;
        if metadata.is_empty() {
            set.children.remove("f:metadata");
        }
    }
    match operation.subresource {
        "status" | "approval" => {
            set.children.retain(|name, _| matches!(name.as_str(), "f:status" | "f:metadata"));
            for field in operation.status_keeps {
                set.remove(&["metadata", field]);
            }
        }
        _ if operation.status_apart => set.remove(&["status"]),
        _ => {}
    }
}

/// Takes from all entries what was changed or removed.
pub(crate) fn take(entries: &mut [Entry], difference: &Comparison) {
    for entry in entries {
        let set = entry.set.difference(&difference.removed);
        entry.set = set.difference(&difference.modified).difference(&difference.added);
    }
}

fn fold_oldest(entries: &mut Vec<Entry>) {
    let updates = entries.iter().filter(|entry| !entry.applied && !entry.set.is_empty()).count();
    if updates <= MAX_UPDATE_ENTRIES {
        return;
    }
    let mut surplus = updates - MAX_UPDATE_ENTRIES + 1;
    entries.sort_by(|a, b| (a.applied, &a.time).cmp(&(b.applied, &b.time)));
    let mut folded: Vec<Entry> = Vec::new();
    entries.retain(|entry| {
        let fold = surplus > 0 && !entry.applied && !entry.set.is_empty();
        if fold {
            surplus -= 1;
            let ancient = Entry { manager: ANCIENT.into(), subresource: String::new(), ..entry.clone() };
            match folded.iter_mut().find(|other| other.is_same(&ancient)) {
                Some(other) => {
                    other.set = std::mem::take(&mut other.set).union(&ancient.set);
                    other.time = ancient.time;
                }
                None => folded.push(ancient),
            }
        }
        !fold
    });
    entries.extend(folded);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::schema::normalize::normalize;
    use crate::schema::{apply_defaults, lookup_kind};
    use crate::strategy;
    use peapod_api::kinds;

    /// A write of a Deployment in that second of 1970.
    pub(crate) fn operation(manager: &str, second: i64) -> Operation<'_> {
        let kind = kinds::of_resource("deployments.apps").unwrap();
        strategy::operation(kind, manager, "apps/v1", "", Timestamp::from_second(second).unwrap())
    }

    fn deployment(spec: Value) -> Value {
        let mut object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
        normalize(lookup_kind("apps/v1", "Deployment").unwrap(), &mut object);
        apply_defaults("Deployment", "apps/v1", &mut object);
        object
    }

    fn spec(image: &str) -> Value {
        json!({"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": image}]}}})
    }

    #[test]
    fn a_create_owns_what_kubernetes_says_it_owns() {
        let ty = lookup_kind("apps/v1", "Deployment").unwrap();
        let mut object = deployment(spec("web:1"));
        update(ty, None, &mut object, &operation("kubectl-create", 1));
        assert_eq!(
            object["metadata"]["managedFields"],
            json!([{
                "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1",
                "time": "1970-01-01T00:00:01Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {
                    "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
                    "f:strategy": {
                        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {},
                    },
                    "f:template": {
                        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                        "f:spec": {
                            "f:containers": {"k:{\"name\":\"web\"}": {
                                ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
                                "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
                            }},
                            "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {},
                            "f:securityContext": {}, "f:terminationGracePeriodSeconds": {},
                        },
                    },
                }},
            }])
        );
    }

    #[test]
    fn a_change_moves_ownership_and_no_change_keeps_the_time() {
        let ty = lookup_kind("apps/v1", "Deployment").unwrap();
        let mut live = deployment(spec("web:1"));
        update(ty, None, &mut live, &operation("a", 1));
        let mut same = live.clone();
        update(ty, Some(&live), &mut same, &operation("a", 2));
        assert_eq!(same, live);

        let mut changed = live.clone();
        changed["spec"]["replicas"] = 5.into();
        changed["metadata"]["resourceVersion"] = "9".into();
        update(ty, Some(&live), &mut changed, &operation("b", 3));
        let entries = read(&changed);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].set.paths(), [".spec.replicas"]);
        assert!(!entries[0].set.paths().contains(&".spec.replicas".to_string()));
        assert_eq!(entries[0].time.as_deref(), Some("1970-01-01T00:00:01Z"));
    }

    #[test]
    fn status_is_owned_through_its_subresource_only() {
        let ty = lookup_kind("apps/v1", "Deployment").unwrap();
        let mut live = deployment(spec("web:1"));
        update(ty, None, &mut live, &operation("a", 1));
        let mut reported = live.clone();
        reported["status"] = json!({"replicas": 1});
        let through_status = Operation { subresource: "status", ..operation("controller", 2) };
        update(ty, Some(&live), &mut reported, &through_status);
        let entries = read(&reported);
        assert_eq!(
            (entries[1].subresource.as_str(), entries[1].set.paths()),
            ("status", vec![".status.replicas".into()])
        );
    }

    #[test]
    fn a_client_may_rewrite_or_clear_the_record() {
        let ty = lookup_kind("apps/v1", "Deployment").unwrap();
        let mut live = deployment(spec("web:1"));
        update(ty, None, &mut live, &operation("a", 1));
        let mut cleared = live.clone();
        cleared["metadata"]["managedFields"] = json!([{}]);
        update(ty, Some(&live), &mut cleared, &operation("b", 2));
        assert!(cleared["metadata"].get("managedFields").is_none());
        let mut later = cleared.clone();
        later["spec"]["replicas"] = 9.into();
        update(ty, Some(&cleared), &mut later, &operation("b", 3));
        assert!(later["metadata"].get("managedFields").is_none(), "nobody has applied yet");
        let mut forgotten = live.clone();
        forgotten["metadata"].as_object_mut().unwrap().remove("managedFields");
        update(ty, Some(&live), &mut forgotten, &operation("b", 2));
        assert_eq!(forgotten, live);
    }

    #[test]
    fn old_updaters_are_folded_together() {
        let ty = lookup_kind("v1", "ConfigMap").unwrap();
        let mut live =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "x"}});
        update(ty, None, &mut live, &Operation { api_version: "v1", ..operation("creator", 0) });
        for n in 0..30_i64 {
            let mut next = live.clone();
            next["data"][format!("k{n}")] = "x".into();
            let manager = format!("m{n}");
            let operation = Operation { api_version: "v1", ..operation(&manager, n) };
            update(ty, Some(&live), &mut next, &operation);
            live = next;
        }
        let entries = read(&live);
        assert_eq!(entries.len(), MAX_UPDATE_ENTRIES);
        let all = entries.iter().fold(FieldSet::default(), |all, entry| all.union(&entry.set));
        assert_eq!(all.paths().len(), 32);
    }
}
