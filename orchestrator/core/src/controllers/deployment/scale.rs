//! Changing the size of single ReplicaSets, and of all of them when the Deployment itself is scaled.

use super::{DESIRED, Rollout, Set, annotation, scale_patch};
use crate::action::Action;

impl Rollout<'_> {
    /// Sets the size of the new set (`None`) or of an old one, with the event that kubectl users know.
    pub(super) fn resize(&mut self, old: Option<usize>, replicas: i64) {
        let (desired, max) = (self.replicas, self.replicas + self.max_surge);
        let set = match old {
            Some(index) => self.old.get_mut(index),
            None => self.new.as_mut(),
        };
        let Some(set) = set else { return };
        let from = std::mem::replace(&mut set.replicas, replicas);
        let recorded = annotation(&set.value, DESIRED) == Some(desired.to_string().as_str());
        if from == replicas && recorded {
            return;
        }
        let patch = scale_patch(replicas, desired, max);
        let (key, name) = (set.object.key.clone(), set.object.name().to_string());
        self.actions.push(Action::Patch { key, patch });
        if from != replicas {
            let direction = if from < replicas { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {name} from {from} to {replicas}");
            self.event("ScalingReplicaSet", message);
        }
    }

    /// Whether the Deployment's size changed since the running sets were last sized.
    pub(super) fn is_scaling(&self) -> bool {
        let running = self.sets().filter(|set| set.replicas > 0);
        let recorded = running.filter_map(|set| annotation(&set.value, DESIRED)?.parse::<i64>().ok());
        recorded.into_iter().any(|desired| desired != self.replicas)
    }

    /// Spreads the Deployment's size over its running sets in proportion to what they have now.
    pub(super) fn scale_proportionally(&mut self) {
        let running: Vec<Option<usize>> = self.running();
        if let [only] = running[..] {
            self.resize(only, self.replicas);
            return;
        }
        if running.is_empty() {
            self.resize(None, self.replicas);
            return;
        }
        let total: i64 = running.iter().map(|slot| self.at(*slot).replicas).sum();
        let allowed = if self.replicas > 0 { self.replicas + self.max_surge } else { 0 };
        let mut left = allowed - total;
        for (position, slot) in running.iter().enumerate() {
            let now = self.at(*slot).replicas;
            let last = position + 1 == running.len();
            let part = if last || total == 0 { left } else { (allowed - total) * now / total };
            let part = part.max(-now);
            left -= part;
            self.resize(*slot, now + part);
        }
    }

    fn running(&self) -> Vec<Option<usize>> {
        let old =
            self.old.iter().enumerate().filter(|(_, set)| set.replicas > 0).map(|(index, _)| Some(index));
        let new = self.new.iter().filter(|set| set.replicas > 0).map(|_| None);
        old.chain(new).collect()
    }

    fn at(&self, slot: Option<usize>) -> &Set {
        match slot {
            Some(index) => &self.old[index],
            None => self.new.as_ref().expect("a slot without index names the new set, which is there"),
        }
    }
}
