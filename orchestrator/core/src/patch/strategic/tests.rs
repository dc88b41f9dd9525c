use super::*;
use crate::schema::lookup_kind;
use proptest::prelude::*;
use serde_json::json;

fn patched(object: Value, patch: Value) -> Value {
    apply(lookup_kind("apps/v1", "Deployment").unwrap(), &object, &patch).unwrap()
}

fn with_containers(containers: Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

#[test]
fn containers_merge_by_name_and_ports_by_number() {
    let live = with_containers(json!([
        {"name": "a", "image": "a:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
        {"name": "b", "image": "b:1", "args": ["x", "y"]},
    ]));
    let patch = with_containers(json!([
        {"name": "b", "args": ["z"]},
        {"name": "a", "image": "a:2", "ports": [{"containerPort": 81}]},
        {"name": "c", "image": "c:1", "command": null},
    ]));
    assert_eq!(
        patched(live, patch),
        with_containers(json!([
            {"name": "b", "image": "b:1", "args": ["z"]},
            {"name": "a", "image": "a:2", "ports": [{"containerPort": 81}, {"containerPort": 80, "protocol": "TCP"}]},
            {"name": "c", "image": "c:1"},
        ]))
    );
}

#[test]
fn items_are_deleted_replaced_and_ordered() {
    let live = || with_containers(json!([{"name": "a"}, {"name": "b"}, {"name": "server"}, {"name": "c"}]));
    let delete = with_containers(json!([{"$patch": "delete", "name": "b"}]));
    assert_eq!(
        patched(live(), delete),
        with_containers(json!([{"name": "a"}, {"name": "server"}, {"name": "c"}]))
    );
    let replace = with_containers(json!([{"$patch": "replace"}, {"name": "new"}]));
    assert_eq!(patched(live(), replace), with_containers(json!([{"name": "new"}])));
    let order = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "d"}],
        "containers": [{"$patch": "delete", "name": "b"}, {"name": "d", "image": "d"}],
    }}}});
    assert_eq!(
        patched(live(), order),
        with_containers(
            json!([{"name": "server"}, {"name": "c"}, {"name": "a"}, {"name": "d", "image": "d"}])
        )
    );
}

#[test]
fn objects_are_replaced_deleted_and_keep_named_keys() {
    let live = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let retain = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(patched(live.clone(), retain), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    let replace = json!({"spec": {"$patch": "replace", "replicas": 3}});
    assert_eq!(patched(live.clone(), replace), json!({"spec": {"replicas": 3}}));
    let delete = json!({"spec": {"strategy": {"$patch": "delete"}}});
    assert_eq!(patched(live.clone(), delete), json!({"spec": {"strategy": {}}}));
    let null = json!({"spec": {"strategy": null}});
    assert_eq!(patched(live, null), json!({"spec": {}}));
}

#[test]
fn lists_of_scalars_merge_and_lose_items() {
    let live = json!({"metadata": {"finalizers": ["a", "b"]}});
    let merge = json!({"metadata": {"finalizers": ["c", "a"]}});
    assert_eq!(patched(live.clone(), merge), json!({"metadata": {"finalizers": ["c", "a", "b"]}}));
    let delete = json!({"metadata": {
        "$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b"],
    }});
    assert_eq!(patched(live, delete), json!({"metadata": {"finalizers": ["b"]}}));
}

#[test]
fn malformed_directives_are_refused() {
    let ty = lookup_kind("apps/v1", "Deployment").unwrap();
    for patch in [
        json!([]),
        json!({"$patch": "explode"}),
        json!({"spec": {"$retainKeys": 1}}),
        json!({"spec": {"$retainKeys": [], "replicas": 1}}),
        with_containers(json!([{"image": "no name"}])),
        with_containers(json!(["text"])),
    ] {
        let live = with_containers(json!([{"name": "a"}]));
        assert_eq!(apply(ty, &live, &patch).unwrap_err().code(), 400, "{patch}");
    }
}

/// Values made of the words that matter to a patch.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        "[a-c]{0,2}|delete|replace|merge".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "metadata|spec|status|template|containers|name|ports|containerPort|env|volumes|labels|finalizers|strategy",
        r"\$patch|\$retainKeys|\$setElementOrder/containers|\$deleteFromPrimitiveList/finalizers|[a-c]",
    ];
    leaf.prop_recursive(7, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_patch_applies_or_fails(object in values(), patch in values()) {
        let _ = apply(lookup_kind("apps/v1", "Deployment").unwrap(), &object, &patch);
        let _ = crate::patch::merge::apply(&object, &patch);
        let _ = crate::patch::json::apply(&object, &patch);
    }
}
