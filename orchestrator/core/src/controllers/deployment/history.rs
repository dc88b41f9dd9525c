//! Keeping as many old ReplicaSets as `revisionHistoryLimit` says.

use super::Rollout;
use crate::action::Action;

impl Rollout<'_> {
    /// Deletes the oldest sets that run nothing, beyond the limit.
    pub(super) fn forget_history(&mut self) {
        let limit =
            usize::try_from(self.value["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10)).unwrap_or(10);
        let mut idle: Vec<_> =
            self.old.iter().filter(|set| set.replicas == 0 && set.count("replicas") == 0).collect();
        idle.sort_by_key(|set| set.revision());
        let surplus = idle.len().saturating_sub(limit);
        let doomed: Vec<Action> =
            idle.into_iter().take(surplus).map(|set| Action::delete(&set.object)).collect();
        self.actions.extend(doomed);
    }
}
