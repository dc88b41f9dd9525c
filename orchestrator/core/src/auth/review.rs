//! Answers to those who ask who may do what, and who they are: the review kinds, which are answered and not stored.

mod selectors;

use super::{Attributes, User, allowed, allowed_path};
use crate::snapshot::Snapshot;
use crate::validation::{Errors, items, text};
use peapod_api::{Error, FieldError};
use serde_json::{Map, Value, json};

/// The status of a review of `authorization.k8s.io` or of a SelfSubjectReview, which `asker` sends; `namespace` is the one
/// of its path. The review is decoded. Errors: 400, 422.
pub fn answer(snapshot: &Snapshot, asker: &User, namespace: &str, review: &Value) -> Result<Value, Error> {
    let spec = &review["spec"];
    match text(&review["kind"]) {
        "SelfSubjectReview" => Ok(json!({"userInfo": describe(asker)})),
        "SelfSubjectRulesReview" => rules(snapshot, asker, text(&spec["namespace"])),
        "SelfSubjectAccessReview" => {
            validate(review, None)?;
            Ok(decide(snapshot, asker, spec))
        }
        "LocalSubjectAccessReview" => of_subject(snapshot, review, Some(namespace)),
        _ => of_subject(snapshot, review, None),
    }
}

/// A user as `UserInfo`.
pub fn describe(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        let extra = user.extra.iter().map(|(key, values)| (key.clone(), json!(values)));
        info["extra"] = Value::Object(Map::from_iter(extra));
    }
    info
}

/// The answer about somebody; `namespace` is the one of a LocalSubjectAccessReview's path.
fn of_subject(snapshot: &Snapshot, review: &Value, namespace: Option<&str>) -> Result<Value, Error> {
    let spec = &review["spec"];
    validate(review, namespace)?;
    let texts = |list: &Value| items(list).map(|item| text(item).to_string()).collect::<Vec<_>>();
    let extra = spec["extra"].as_object().into_iter().flatten();
    let subject = User {
        name: text(&spec["user"]).into(),
        uid: text(&spec["uid"]).into(),
        groups: texts(&spec["groups"]),
        extra: extra.map(|(key, values)| (key.clone(), texts(values))).collect(),
    };
    Ok(decide(snapshot, &subject, spec))
}

/// Exactly one thing is asked, of somebody, in the namespace of the path. Errors: 422.
fn validate(review: &Value, namespace: Option<&str>) -> Result<(), Error> {
    let (spec, mut faults) = (&review["spec"], Errors::new());
    let (of_resource, of_path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (of_resource.is_object(), of_path.is_object()) {
        (true, true) => {
            let why = "cannot be specified in combination with resourceAttributes";
            faults.push(FieldError::invalid("spec.nonResourceAttributes", of_path, why));
        }
        (false, false) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            faults.push(FieldError::invalid("spec.resourceAttributes", of_resource, why));
        }
        _ => {}
    }
    let is_own = text(&review["kind"]) == "SelfSubjectAccessReview";
    if !is_own && text(&spec["user"]).is_empty() && items(&spec["groups"]).next().is_none() {
        let why = "at least one of user or group must be specified";
        faults.push(FieldError::invalid("spec.user", &"".into(), why));
    }
    selectors::validate("spec.resourceAttributes", of_resource, &mut faults);
    without_metadata(review, namespace, &mut faults);
    if let Some(namespace) = namespace {
        let own = &of_resource["namespace"];
        if of_resource.is_object() && text(own) != namespace {
            let (path, why) = ("spec.resourceAttributes.namespace", "must match metadata.namespace");
            faults.push(FieldError::invalid(path, &text(own).into(), why));
        }
        if of_path.is_object() {
            let why = "disallowed on this kind of request";
            faults.push(FieldError::invalid("spec.nonResourceAttributes", of_path, why));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("authorization.k8s.io", text(&review["kind"]), "", &faults))
}

/// A question has no name.
fn without_metadata(review: &Value, namespace: Option<&str>, faults: &mut Errors) {
    let said = |(field, value): (&String, &Value)| match field.as_str() {
        "managedFields" => false,
        "namespace" if namespace.is_some() => false,
        _ => !value.is_null() && *value != json!("") && *value != json!({}) && *value != json!([]),
    };
    if review["metadata"].as_object().into_iter().flatten().any(said) {
        let why = if namespace.is_some() { "must be empty except for namespace" } else { "must be empty" };
        faults.push(FieldError::invalid("metadata", &review["metadata"], why));
    }
}

fn decide(snapshot: &Snapshot, subject: &User, spec: &Value) -> Value {
    let of_path = &spec["nonResourceAttributes"];
    let of_resource = &spec["resourceAttributes"];
    let part = |field: &str| text(&of_resource[field]);
    let (fields, not_understood) = selectors::read(of_resource);
    let decided = if of_path.is_object() {
        allowed_path(snapshot, subject, text(&of_path["verb"]), text(&of_path["path"]))
    } else {
        let asked = Attributes {
            verb: part("verb"),
            group: part("group"),
            resource: part("resource"),
            subresource: part("subresource"),
            namespace: part("namespace"),
            name: part("name"),
            fields: Some(&fields),
        };
        allowed(snapshot, subject, &asked)
    };
    let is_allowed = decided.is_ok();
    let reason = decided.map_or_else(|why| why, |ground| ground.reason());
    let mut status = json!({ "allowed": is_allowed });
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    if let Some(why) = not_understood {
        status["evaluationError"] = why.into();
    }
    status
}

/// Everything that roles give to `user` in `namespace`.
fn rules(snapshot: &Snapshot, user: &User, namespace: &str) -> Result<Value, Error> {
    if namespace.is_empty() {
        return Err(Error::bad_request("no namespace on request"));
    }
    let rules: Vec<_> =
        snapshot.rbac().held(user, namespace).filter_map(|held| held.rules).flatten().collect();
    let mut status = json!({
        "resourceRules": rules.iter().filter_map(|rule| rule.resource_rule()).collect::<Vec<_>>(),
        "nonResourceRules": rules.iter().filter_map(|rule| rule.path_rule()).collect::<Vec<_>>(),
        "incomplete": user.node().is_some(),
    });
    if user.node().is_some() {
        status["evaluationError"] = "node authorizer does not support user rule resolution".into();
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::MASTERS;
    use crate::auth::rbac::tests::{cluster, put};
    use crate::auth::rbac::{BINDINGS, CLUSTER_BINDINGS};

    fn world() -> Snapshot {
        let mut cluster = cluster();
        let binding = |role: &str| json!({"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": "jane"}]});
        put(&mut cluster, BINDINGS, "a", "jane", binding("view"));
        put(&mut cluster, CLUSTER_BINDINGS, "", "jane", binding("absent"));
        cluster
    }

    fn ask(asker: &User, kind: &str, namespace: &str, spec: Value) -> Result<Value, String> {
        let review = json!({"kind": kind, "spec": spec});
        answer(&world(), asker, namespace, &review).map_err(|error| error.to_string())
    }

    fn pods(verb: &str, namespace: &str) -> Value {
        json!({"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": namespace}})
    }

    #[test]
    fn access_is_told_with_its_reason() {
        let jane = User::new("jane", &[]);
        let own = |spec: Value| ask(&jane, "SelfSubjectAccessReview", "", spec).unwrap();
        let allowed = own(pods("list", "a"));
        let why = "RBAC: allowed by RoleBinding \"jane/a\" of ClusterRole \"view\" to User \"jane\"";
        assert_eq!(allowed, json!({"allowed": true, "reason": why}));
        let why = "RBAC: clusterrole.rbac.authorization.k8s.io \"absent\" not found";
        assert_eq!(own(pods("list", "b")), json!({"allowed": false, "reason": why}));
        let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/api/v1"}});
        assert_eq!(own(path)["allowed"], true);
        let mut of_jane = pods("get", "a");
        of_jane["user"] = "jane".into();
        let root = User::new("root", &[MASTERS]);
        assert_eq!(ask(&root, "SubjectAccessReview", "", of_jane.clone()).unwrap()["allowed"], true);
        assert_eq!(ask(&root, "LocalSubjectAccessReview", "a", of_jane.clone()).unwrap()["allowed"], true);
        let elsewhere = ask(&root, "LocalSubjectAccessReview", "b", of_jane).unwrap_err();
        assert!(
            elsewhere.ends_with("namespace: Invalid value: \"a\": must match metadata.namespace"),
            "{elsewhere}"
        );
        let all = json!({"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}});
        assert_eq!(ask(&root, "SelfSubjectAccessReview", "", all).unwrap(), json!({"allowed": true}));
    }

    #[test]
    fn what_is_asked_must_be_one_thing() {
        let jane = User::new("jane", &[]);
        let neither = ask(&jane, "SelfSubjectAccessReview", "", json!({})).unwrap_err();
        assert!(
            neither.ends_with("exactly one of nonResourceAttributes or resourceAttributes must be specified")
        );
        let mut both = pods("get", "a");
        both["nonResourceAttributes"] = json!({"path": "/"});
        assert!(ask(&jane, "SelfSubjectAccessReview", "", both).is_err());
        let nobody = ask(&jane, "SubjectAccessReview", "", pods("get", "a")).unwrap_err();
        assert!(nobody.contains("spec.user: Invalid value: \"\": at least one of user or group"), "{nobody}");
        assert_eq!(
            ask(&jane, "SelfSubjectRulesReview", "", json!({})).unwrap_err(),
            "no namespace on request"
        );
    }

    #[test]
    fn selectors_narrow_what_is_asked_and_are_checked() {
        let node = User::new("system:node:n1", &[crate::auth::NODES]);
        let narrowed = |selectors: Value| {
            let mut spec = pods("list", "");
            spec["resourceAttributes"]
                .as_object_mut()
                .unwrap()
                .extend(selectors.as_object().unwrap().clone());
            ask(&node, "SelfSubjectAccessReview", "", spec)
        };
        let own = json!({"key": "spec.nodeName", "operator": "In", "values": ["n1"]});
        let exists = json!({"key": "spec.x", "operator": "Exists"});
        let ignored = "spec.resourceAttributes.fieldSelector partially ignored due to parse error";
        for (selectors, allowed, error) in [
            (json!({}), false, Value::Null),
            (json!({"fieldSelector": {"rawSelector": "spec.nodeName=n1"}}), true, Value::Null),
            (json!({"fieldSelector": {"rawSelector": "spec.nodeName=n2"}}), false, Value::Null),
            (json!({"fieldSelector": {"requirements": [own]}}), true, Value::Null),
            (json!({"fieldSelector": {"requirements": [own, exists]}}), true, json!(ignored)),
            (
                json!({"labelSelector": {"rawSelector": "a in"}}),
                false,
                json!("spec.resourceAttributes.labelSelector ignored due to parse error"),
            ),
            (
                json!({"labelSelector": {"requirements": [{"key": "a", "operator": "Newer"}]}}),
                false,
                json!("spec.resourceAttributes.labelSelector ignored due to parse error"),
            ),
        ] {
            let answer = narrowed(selectors.clone()).unwrap();
            assert_eq!(
                (&answer["allowed"], &answer["evaluationError"]),
                (&json!(allowed), &error),
                "{selectors}"
            );
        }
        for (selectors, why) in [
            (
                json!({"fieldSelector": {}}),
                "fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified",
            ),
            (
                json!({"labelSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "Exists"}]}}),
                "labelSelector.rawSelector: Invalid value: \"a\": may not specified at the same time as requirements",
            ),
            (
                json!({"fieldSelector": {"requirements": [{"operator": "In"}]}}),
                "fieldSelector.requirements[0].key: Required value: must be specified",
            ),
            (
                json!({"fieldSelector": {"requirements": [{"key": "a", "operator": "In"}]}}),
                "requirements[0].values: Required value",
            ),
            (
                json!({"labelSelector": {"requirements": [{"key": "-", "operator": "Exists", "values": ["x"]}]}}),
                "requirements[0].values: Forbidden",
            ),
            (
                json!({"labelSelector": {"requirements": [{"key": "-", "operator": "Exists"}]}}),
                "labelSelector.requirements[0].key: Invalid value: \"-\"",
            ),
        ] {
            let refused = narrowed(selectors).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let named =
            json!({"kind": "SelfSubjectAccessReview", "metadata": {"name": "x"}, "spec": pods("list", "")});
        let refused = answer(&world(), &node, "", &named).unwrap_err().to_string();
        assert!(
            refused.contains("metadata: Invalid value") && refused.ends_with("must be empty"),
            "{refused}"
        );
    }

    #[test]
    fn rules_and_oneself_are_listed() {
        let mut jane = User::new("jane", &[]);
        let rules = ask(&jane, "SelfSubjectRulesReview", "", json!({"namespace": "a"})).unwrap();
        let of_pods = |rule: &&Value| items(&rule["resources"]).any(|resource| resource == "pods");
        let reading = items(&rules["resourceRules"]).find(of_pods).unwrap();
        assert_eq!(reading["verbs"], json!(["get", "list", "watch"]));
        assert!(items(&rules["nonResourceRules"]).any(|rule| rule["nonResourceURLs"][0] == "/api"));
        assert_eq!(rules["incomplete"], false);
        jane.extra = vec![("scopes".into(), vec!["x".into()])];
        let own = ask(&jane, "SelfSubjectReview", "", json!({})).unwrap();
        let info =
            json!({"username": "jane", "groups": ["system:authenticated"], "extra": {"scopes": ["x"]}});
        assert_eq!(own, json!({"userInfo": info}));
    }
}
