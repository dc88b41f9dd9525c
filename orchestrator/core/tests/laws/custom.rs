//! Custom resources: whatever a definition says it is refused or serves, and whatever an object says it is refused or kept.

use crate::draw::{corpus, damaged, hold};
use jiff::Timestamp;
use peapod_api::{Draft, Key, kinds};
use peapod_core::custom::DEFINITIONS;
use peapod_core::schema::decode::{Decoded, FieldValidation};
use peapod_core::served::{Kinds, Served};
use peapod_core::strategy::{self, Stamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

const NAME: &str = "things.example.com";

fn stamp() -> Stamp {
    Stamp { now: Timestamp::UNIX_EPOCH, uid: "u".into(), seed: 7 }
}

/// The kind that a definition with this schema serves; none if the definition is refused.
fn served(schema: &Value) -> Result<Option<Served>, TestCaseError> {
    let row = Served::from(kinds::of_resource(DEFINITIONS).unwrap());
    let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let definition = json!({
        "apiVersion": row.api_version(), "kind": *row.kind, "metadata": {"name": NAME},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    });
    let decoded = row.decode(Decoded::from(definition), FieldValidation::Ignore);
    let Ok((mut definition, _)) = decoded else { return Ok(None) };
    prop_assert!(row.complete(&mut definition).is_ok());
    strategy::prepare_create(&row, &mut definition, &stamp());
    if let Err(error) = strategy::validate_create(&row, &definition) {
        prop_assert_eq!(error.code(), 422, "{}", error);
        return Ok(None);
    }
    definition["status"] = json!({
        "acceptedNames": names, "storedVersions": ["v1"], "conditions": [{"type": "Established", "status": "True"}],
    });
    let object = Draft::new(&row, Key::new(DEFINITIONS, "", NAME), definition).at(1);
    let kinds = Kinds::default().changed(NAME, Some(&object));
    Ok(kinds.and_then(|kinds| kinds.lookup("example.com", "v1", "things")))
}

/// Refused as the client's fault, or complete: completing it again changes nothing.
fn object_law(kind: &Served, object: &Value) -> Result<(), TestCaseError> {
    let mut object = object.clone();
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = (*kind.kind).into();
    object["metadata"] = json!({"name": "thing", "namespace": "default"});
    let Ok((mut object, _)) = kind.decode(Decoded::from(object), FieldValidation::Ignore) else {
        return Ok(());
    };
    prop_assert!(kind.complete(&mut object).is_ok());
    let mut twice = object.clone();
    prop_assert!(kind.complete(&mut twice).is_ok());
    prop_assert_eq!(&twice, &object);
    strategy::prepare_create(kind, &mut object, &stamp());
    if let Err(error) = strategy::validate_create(kind, &object) {
        prop_assert!((400..500).contains(&error.code()), "{}", error);
    }
    let _ = strategy::validate_update(kind, strategy::Endpoint::Main, &object, &object);
    Ok(())
}

fn documents(name: &str) -> Vec<Value> {
    corpus(name).iter().map(|document| serde_json::from_slice(document).unwrap()).collect()
}

#[test]
fn any_schema_is_refused_or_serves() {
    let instances = documents("instances");
    let law = |schema: Vec<u8>| {
        let Ok(schema) = serde_json::from_slice::<Value>(&schema) else { return Ok(()) };
        let Some(kind) = served(&schema)? else { return Ok(()) };
        instances.iter().try_for_each(|object| object_law(&kind, object))
    };
    for schema in corpus("schemas") {
        let value = serde_json::from_slice(&schema).unwrap();
        assert!(served(&value).unwrap().is_some(), "{value} serves");
        law(schema).unwrap();
    }
    hold(damaged(corpus("schemas")), law);
}

#[test]
fn any_custom_object_is_refused_or_complete() {
    let kinds: Vec<Served> =
        documents("schemas").iter().map(|schema| served(schema).unwrap().unwrap()).collect();
    let law = |object: Vec<u8>| {
        let Ok(object) = serde_json::from_slice::<Value>(&object) else { return Ok(()) };
        if !object.is_object() {
            return Ok(());
        }
        kinds.iter().try_for_each(|kind| object_law(kind, &object))
    };
    corpus("instances").into_iter().for_each(|object| law(object).unwrap());
    hold(damaged(corpus("instances")), law);
}

/// A rule is refused when it is defined, or says yes, no or what went wrong within its budget.
#[test]
fn any_rule_is_refused_or_ends() {
    let schema: Value = serde_json::from_slice(
        &std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/schemas/whole")).unwrap(),
    )
    .unwrap();
    let instances = documents("instances");
    let law = |rule: Vec<u8>| {
        let mut schema = schema.clone();
        schema["properties"]["spec"]["x-kubernetes-validations"] =
            json!([{"rule": String::from_utf8_lossy(&rule), "message": "no"}]);
        let Some(kind) = served(&schema)? else { return Ok(()) };
        instances.iter().try_for_each(|object| object_law(&kind, object))
    };
    corpus("rules").into_iter().for_each(|rule| law(rule).unwrap());
    hold(damaged(corpus("rules")), law);
}
