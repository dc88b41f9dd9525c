//! Forgets events an hour after they last happened.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::snapshot::{Change, Snapshot};
use jiff::{SignedDuration, Timestamp};
use peapod_api::{Key, Object, meta};
use std::time::Duration;

pub(super) const CONTROLLER: Controller = Controller { name: "event-ttl", triggers, reconcile };

/// How long an event is kept after it last happened.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    let is_event = change.key.resource() == "events" && change.after.is_some();
    Vec::from_iter(is_event.then(|| change.key.clone()))
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(event) = snapshot.get(key).filter(|event| event.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let age = context.now.duration_since(last_seen(event));
    if age < KEPT {
        let left = Duration::try_from(KEPT - age).unwrap_or_default();
        return Outcome::again_after(left);
    }
    vec![Action::delete(event)].into()
}

/// Newer clients count in a series and leave the old fields empty.
fn last_seen(event: &Object) -> Timestamp {
    let value = event.value();
    let fields = ["series.lastObservedTime", "lastTimestamp", "eventTime"];
    let told = fields.iter().find_map(|path| meta::text(&value, path).and_then(meta::parse_time));
    told.max(event.header.created).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_api::{Draft, kinds};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn an_event_goes_after_an_hour_of_silence() {
        let key = Key::new("events", "d", "e");
        let value = json!({"metadata": {"name": "e", "namespace": "d", "uid": "u"}, "lastTimestamp": "2030-01-01T00:00:00Z"});
        let event = Arc::new(Draft::new(kinds::lookup("", "events").unwrap(), key.clone(), value).at(1));
        let change = Change::new(1, key.clone(), None, Some(event));
        let mut snapshot = Snapshot::default();
        snapshot.apply(&change);
        assert_eq!(triggers(&snapshot, &change), std::slice::from_ref(&key));
        let at = |text: &str| Context { now: text.parse().unwrap(), node_grace: Duration::from_secs(40) };
        let young = reconcile(&snapshot, &key, &at("2030-01-01T00:59:00Z"));
        assert_eq!((young.actions.len(), young.again_after), (0, Some(Duration::from_secs(60))));
        assert_eq!(reconcile(&snapshot, &key, &at("2030-01-01T01:00:00Z")).actions.len(), 1);
    }
}
