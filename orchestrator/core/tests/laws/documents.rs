//! Bodies in JSON and protobuf, from bytes to a complete object that is validated.

use crate::draw::{corpus, damaged, hold};
use jiff::Timestamp;
use peapod_core::schema::decode::{self, Decoded, FieldValidation};
use peapod_core::schema::protobuf;
use peapod_core::schema::yaml::{written, yaml};
use peapod_core::served::Served;
use peapod_core::strategy::{self, Endpoint, Stamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

fn kind_of(value: &Value) -> Option<Served> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    peapod_api::kinds::of_object(text("apiVersion"), text("kind")).map(Served::from)
}

/// Everything that a create, and then a write of its status, does before it reaches the store.
fn prepared(value: &Value, validation: FieldValidation) -> Result<Option<Value>, TestCaseError> {
    let Some(kind) = kind_of(value) else { return Ok(None) };
    let (mut object, _) = match kind.decode(Decoded::from(value.clone()), validation) {
        Ok(decoded) => decoded,
        Err(error) => {
            prop_assert_eq!(error.code(), 400, "{}", error);
            return Ok(None);
        }
    };
    prop_assert!(kind.complete(&mut object).is_ok());
    let mut twice = object.clone();
    prop_assert!(kind.complete(&mut twice).is_ok());
    prop_assert_eq!(&twice, &object, "completing a complete object changes it");
    let stamp = Stamp { now: Timestamp::UNIX_EPOCH, uid: "u".into(), seed: 7 };
    strategy::prepare_create(&kind, &mut object, &stamp);
    if let Err(error) = strategy::validate_create(&kind, &object) {
        prop_assert!((400..500).contains(&error.code()), "{}", error);
    }
    let mut told = twice;
    strategy::prepare_update(&kind, Endpoint::Status, &mut told, &object);
    if let Err(error) = strategy::validate_update(&kind, Endpoint::Status, &told, &object) {
        prop_assert!((400..500).contains(&error.code()), "{}", error);
    }
    Ok(Some(object))
}

fn json_law(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let Ok(decoded) = decode::json(&bytes) else { return Ok(()) };
    let again = decode::json(decoded.value.to_string().as_bytes());
    prop_assert_eq!(again.map(|again| again.value.to_string()).ok(), Some(decoded.value.to_string()));
    for validation in [FieldValidation::Ignore, FieldValidation::Warn, FieldValidation::Strict] {
        prepared(&decoded.value, validation)?;
    }
    Ok(())
}

fn yaml_law(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let decoded = match yaml(&bytes) {
        Ok(decoded) => decoded,
        Err(error) => {
            prop_assert_eq!(error.code(), 400, "{}", error);
            return Ok(());
        }
    };
    let rewritten = written(&decoded.value).and_then(|text| yaml(text.as_bytes()));
    prop_assert_eq!(rewritten.map(|again| again.value.to_string()).ok(), Some(decoded.value.to_string()));
    let again = decode::json(decoded.value.to_string().as_bytes());
    prop_assert_eq!(again.map(|again| again.value.to_string()).ok(), Some(decoded.value.to_string()));
    prepared(&decoded.value, FieldValidation::Strict)?;
    Ok(())
}

fn protobuf_law(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let object = match protobuf::decode(&bytes) {
        Ok(object) => object,
        Err(error) => {
            prop_assert!(matches!(error.code(), 400 | 415), "{}", error);
            return Ok(());
        }
    };
    prepared(&object, FieldValidation::Strict)?;
    let encoded = protobuf::encode(&object);
    prop_assert!(encoded.is_ok(), "decoded but not encoded: {:?}", encoded);
    prop_assert_eq!(protobuf::decode(&encoded.unwrap()).ok(), Some(object));
    Ok(())
}

/// The stored bodies, and the stored documents in protobuf.
fn protobuf_seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus("protobuf");
    for document in corpus("documents") {
        let decoded = decode::json(&document).ok().map(|decoded| decoded.value);
        let object = decoded.and_then(|value| prepared(&value, FieldValidation::Ignore).unwrap());
        seeds.extend(object.and_then(|object| protobuf::encode(&object).ok()));
    }
    assert!(seeds.len() > 8, "only {} documents have a protobuf form", seeds.len());
    seeds
}

#[test]
fn any_json_is_read_or_refused_and_read_the_same_again() {
    corpus("documents").into_iter().for_each(|document| json_law(document).unwrap());
    hold(damaged(corpus("documents")), json_law);
}

#[test]
fn any_yaml_is_read_as_what_json_would_say_or_refused() {
    for document in corpus("documents") {
        // Behind a comment it is YAML that happens to look like JSON.
        let commented = [b"# a comment\n", &document[..]].concat();
        let (as_yaml, as_json) = (yaml(&commented), decode::json(&document));
        if let (Ok(as_yaml), Ok(as_json)) = (&as_yaml, &as_json) {
            assert_eq!(as_yaml.value, as_json.value);
            assert_eq!(as_yaml.duplicates, as_json.duplicates);
        }
        assert!(as_yaml.is_ok() || as_json.is_err(), "{:?}", as_yaml.err());
    }
    let seeds = corpus("yaml");
    assert!(seeds.len() >= 6, "only {} seeds", seeds.len());
    seeds.iter().for_each(|document| yaml_law(document.clone()).unwrap());
    hold(damaged(seeds), yaml_law);
}

#[test]
fn any_protobuf_is_read_or_refused_and_read_the_same_again() {
    let seeds = protobuf_seeds();
    seeds.iter().for_each(|body| protobuf_law(body.clone()).unwrap());
    hold(damaged(seeds), protobuf_law);
}
