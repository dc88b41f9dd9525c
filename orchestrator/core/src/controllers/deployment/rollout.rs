//! Moving from the old ReplicaSets to the new one.

use super::{DESIRED, HASH_LABEL, MAX, REVISION, Rollout};
use crate::action::Action;
use crate::controllers::owned::controller_reference;
use crate::name;
use crate::snapshot::Snapshot;
use peapod_api::pod::is_terminal_phase;
use peapod_api::well_known::LAST_APPLIED;
use serde_json::{Value, json};

impl Rollout<'_> {
    /// Creates the set of the current template, or marks the one that has it as the newest revision.
    pub(super) fn ensure_new_set(&mut self, snapshot: &Snapshot) {
        let newest_old = self.old.iter().map(super::Set::revision).max().unwrap_or(0);
        let revision = match &self.new {
            Some(set) if set.revision() > newest_old => set.revision(),
            _ => newest_old + 1,
        };
        match &self.new {
            Some(set) => {
                // A rollback brings these back, so the set follows them as long as it is the newest.
                let annotations = self.annotations(revision);
                let key = set.object.key.clone();
                if set.revision() != revision {
                    self.turn =
                        Some(("FoundNewReplicaSet", format!("Found new replica set {:?}", key.name())));
                }
                if !covers(&set.value["metadata"]["annotations"], &annotations) {
                    let patch = json!({"metadata": {"annotations": annotations}});
                    self.actions.push(Action::Patch { key, patch });
                }
            }
            None => self.create_new_set(snapshot, revision),
        }
        if super::annotation(&self.value, REVISION) != Some(revision.to_string().as_str()) {
            let patch = json!({"metadata": {"annotations": {REVISION: revision.to_string()}}});
            self.actions.push(Action::Patch { key: self.object.key.clone(), patch });
        }
    }

    /// The Deployment's annotations as its sets carry them, so that a rollback can bring them back.
    fn annotations(&self, revision: i64) -> Value {
        const OWN: [&str; 5] = [LAST_APPLIED, REVISION, "deprecated.deployment.rollback.to", DESIRED, MAX];
        let mut copy = self.value["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        copy.retain(|name, _| !OWN.contains(&name.as_str()));
        copy.insert(REVISION.into(), revision.to_string().into());
        copy.into()
    }

    fn create_new_set(&mut self, snapshot: &Snapshot, revision: i64) {
        let template = &self.value["spec"]["template"];
        let bytes = template.to_string();
        let names = (0u64..).map(|collision| {
            let hash = name::suffix(&[bytes.as_bytes(), &collision.to_le_bytes()], 10);
            (name::child(self.object.name(), &hash), hash)
        });
        let namespace = self.object.namespace();
        let mut free = names.filter(|(name, _)| snapshot.find("replicasets.apps", namespace, name).is_none());
        let Some((set_name, hash)) = free.next() else { return };
        let replicas = self.room_for_new(0);
        let mut annotations = self.annotations(revision);
        annotations[DESIRED] = self.replicas.to_string().into();
        annotations[MAX] = (self.replicas + self.max_surge).to_string().into();
        let (mut template, mut selector) = (template.clone(), self.value["spec"]["selector"].clone());
        template["metadata"]["labels"][HASH_LABEL] = hash.as_str().into();
        selector["matchLabels"][HASH_LABEL] = hash.as_str().into();
        let object = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": set_name, "namespace": namespace, "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [controller_reference("apps/v1", "Deployment", self.object)],
            },
            "spec": {
                "replicas": replicas, "selector": selector, "template": template,
                "minReadySeconds": self.value["spec"]["minReadySeconds"].as_i64().unwrap_or(0),
            },
        });
        self.actions.push(Action::Create { object });
        self.turn = Some(("NewReplicaSetCreated", format!("Created new replica set {set_name:?}")));
        if replicas > 0 {
            self.event("ScalingReplicaSet", format!("Scaled up replica set {set_name} from 0 to {replicas}"));
        }
    }

    /// How large the new set, now of size `current`, may be: no more than the surge allows in all.
    fn room_for_new(&self, current: i64) -> i64 {
        if self.value["spec"]["strategy"]["type"] == "Recreate" {
            return if self.old.iter().all(|set| set.replicas == 0 && set.count("replicas") == 0) {
                self.replicas
            } else {
                current
            };
        }
        // A set that was told to shrink counts with the pods it still has, so that the surge is never exceeded.
        let others: i64 = self.old.iter().map(|set| set.replicas.max(set.count("replicas"))).sum();
        let room = self.replicas + self.max_surge - others;
        current.max(room.min(self.replicas)).max(0)
    }

    /// Old pods first, new ones when they are gone.
    pub(super) fn recreate(&mut self, snapshot: &Snapshot) {
        for index in 0..self.old.len() {
            if self.old[index].replicas > 0 {
                self.resize(Some(index), 0);
            }
        }
        let old_pods = self.old.iter().flat_map(|set| snapshot.owned_by(&set.object.header.uid));
        let finished = |phase: Option<&str>| phase.is_some_and(is_terminal_phase);
        let gone = old_pods.into_iter().all(|pod| finished(pod.header.phase.as_deref()));
        if gone && self.new.is_some() {
            self.resize(None, self.replicas);
        }
    }

    /// One step of a rolling update.
    pub(super) fn roll(&mut self) {
        if let Some(set) = &self.new {
            let size =
                if set.replicas > self.replicas { self.replicas } else { self.room_for_new(set.replicas) };
            if size != set.replicas {
                self.resize(None, size);
                return;
            }
        }
        if self.old.iter().all(|set| set.replicas == 0) {
            self.resize(None, self.new.as_ref().map_or(0, |set| set.replicas));
            return;
        }
        let minimum = self.replicas - self.max_unavailable;
        let new_unavailable = self.new.as_ref().map_or(0, |set| set.replicas - set.available());
        let mut removable = self.total(|set| set.replicas) - minimum - new_unavailable;
        removable -= self.remove_unhealthy(removable);
        let available = self.total(|set| set.available().min(set.replicas));
        self.remove_old(removable.min(available - minimum));
    }

    /// Takes pods that are not available from the old sets first: nobody misses them.
    fn remove_unhealthy(&mut self, limit: i64) -> i64 {
        let mut removed = 0;
        for index in 0..self.old.len() {
            let set = &self.old[index];
            let part = (set.replicas - set.available()).min(limit - removed);
            if part > 0 {
                removed += part;
                self.resize(Some(index), self.old[index].replicas - part);
            }
        }
        removed
    }

    fn remove_old(&mut self, limit: i64) {
        let mut left = limit;
        for index in 0..self.old.len() {
            let part = self.old[index].replicas.min(left);
            if part > 0 {
                left -= part;
                self.resize(Some(index), self.old[index].replicas - part);
            }
        }
    }
}

/// Whether `map` holds every entry of `wanted`.
fn covers(map: &Value, wanted: &Value) -> bool {
    wanted.as_object().into_iter().flatten().all(|(name, value)| map[name] == *value)
}
