//! Priorities: what a pod's PriorityClass says, or the class that is taken where none is named.
//! Rule: Kubernetes, "Pod Priority and Preemption".

use super::pod::refuse;
use crate::snapshot::Snapshot;
use crate::validation::text;
use peapod_api::{Error, Object};
use serde_json::Value;
use std::sync::Arc;

/// The resource of the classes.
const CLASSES: &str = "priorityclasses.scheduling.k8s.io";
const PREEMPTS: &str = "PreemptLowerPriority";

/// Resolves the class of a new pod. Errors: 403 for a class that is not there, and for numbers that differ from it.
pub(super) fn admit(snapshot: &Snapshot, pod: &mut Value) -> Result<(), Error> {
    let named = text(&pod["spec"]["priorityClassName"]).to_string();
    let class = match snapshot.find(CLASSES, "", &named) {
        Some(class) => Some(class),
        None if named.is_empty() => default(snapshot),
        None => return Err(refuse(pod, &format!("no PriorityClass with name {named} was found"))),
    };
    let found = class.map(|class| class.value()).unwrap_or_default();
    if let Some(class) = class.filter(|_| named.is_empty()) {
        pod["spec"]["priorityClassName"] = class.name().into();
    }
    let value = found["value"].as_i64().unwrap_or(0);
    if let Some(asked) = pod["spec"]["priority"].as_i64().filter(|asked| *asked != value) {
        let why = format!(
            "the integer value of priority ({asked}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        );
        return Err(refuse(pod, &why));
    }
    let policy = found["preemptionPolicy"].as_str().unwrap_or(PREEMPTS);
    if let Some(asked) = pod["spec"]["preemptionPolicy"].as_str().filter(|asked| *asked != policy) {
        let why = format!(
            "the string value of PreemptionPolicy ({asked}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        );
        return Err(refuse(pod, &why));
    }
    pod["spec"]["priority"] = value.into();
    pod["spec"]["preemptionPolicy"] = policy.into();
    Ok(())
}

/// The class of pods that name none: of several, the lowest.
fn default(snapshot: &Snapshot) -> Option<&Arc<Object>> {
    let defaults = snapshot.list(CLASSES, None).filter(|class| class.value()["globalDefault"] == true);
    defaults.min_by_key(|class| class.value()["value"].as_i64().unwrap_or(0))
}

/// Only one class is taken where none is named. Errors: 403.
pub(super) fn only_one_default(snapshot: &Snapshot, class: &Value) -> Result<(), Error> {
    let name = text(&class["metadata"]["name"]);
    match default(snapshot).filter(|other| class["globalDefault"] == true && other.name() != name) {
        None => Ok(()),
        Some(other) => {
            let other = other.name();
            let why =
                format!("PriorityClass {other} is already marked as default. Only one default can exist");
            Err(Error::forbidden(CLASSES, name, &why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Change;
    use peapod_api::{Draft, Key, kinds};
    use serde_json::json;

    fn world(classes: &[(&str, i64, bool)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (revision, (name, value, default)) in (1..).zip(classes) {
            let class = json!({"metadata": {"name": name}, "value": value, "globalDefault": default});
            let key = Key::new(CLASSES, "", name);
            let object = Draft::new(kinds::of_resource(CLASSES).unwrap(), key.clone(), class).at(revision);
            snapshot.apply(&Change::new(revision, key, None, Some(Arc::new(object))));
        }
        snapshot
    }

    fn admitted(snapshot: &Snapshot, spec: Value) -> Result<Value, String> {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": spec});
        admit(snapshot, &mut pod).map(|()| pod["spec"].take()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pod_gets_the_priority_of_its_class() {
        let snapshot = world(&[("high", 1000, false), ("usual", 5, true)]);
        assert_eq!(
            admitted(&snapshot, json!({"priorityClassName": "high"})),
            Ok(json!({"priorityClassName": "high", "priority": 1000, "preemptionPolicy": PREEMPTS}))
        );
        assert_eq!(
            admitted(&snapshot, json!({})),
            Ok(json!({"priorityClassName": "usual", "priority": 5, "preemptionPolicy": PREEMPTS}))
        );
        assert_eq!(
            admitted(&world(&[]), json!({})),
            Ok(json!({"priority": 0, "preemptionPolicy": PREEMPTS}))
        );
        for (spec, complaint) in [
            (json!({"priorityClassName": "none"}), "no PriorityClass with name none was found"),
            (json!({"priority": 7}), "the integer value of priority (7) must not be provided in pod spec"),
            (json!({"preemptionPolicy": "Never"}), "the string value of PreemptionPolicy (Never) must not"),
        ] {
            assert!(admitted(&snapshot, spec).unwrap_err().contains(complaint), "{complaint}");
        }
    }

    #[test]
    fn there_is_one_default_class() {
        let snapshot = world(&[("usual", 5, true)]);
        let class = |name: &str, default: bool| json!({"metadata": {"name": name}, "globalDefault": default});
        assert!(only_one_default(&snapshot, &class("other", false)).is_ok());
        assert!(only_one_default(&snapshot, &class("usual", true)).is_ok());
        let error = only_one_default(&snapshot, &class("other", true)).unwrap_err().to_string();
        assert!(
            error.ends_with("PriorityClass usual is already marked as default. Only one default can exist"),
            "{error}"
        );
    }
}
