//! Round trips over every kind, bodies that kubectl sent, and hostile bytes.

use super::*;
use crate::schema::samples::filled;
use crate::schema::{kinds, normalize::normalize};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn every_kind_survives_the_round_trip() {
    for (api_version, kind) in kinds().filter(|(_, kind)| *kind != "Table") {
        let ty = lookup_kind(api_version, kind).unwrap();
        for mut seed in 0..8 {
            let mut object = filled(ty, &mut seed, 0);
            normalize(ty, &mut object);
            let object = with_kind(api_version, kind, object.as_object().unwrap().clone());
            let bytes = encode(&object).unwrap_or_else(|error| panic!("{api_version} {kind}: {error}"));
            assert_eq!(decode(&bytes).unwrap(), object, "{api_version} {kind}");
        }
    }
}

#[test]
fn reads_what_kubectl_sends() {
    let body = b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x1c\n\x14\n\x04demo\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\0\x1a\x02\n\0\x1a\0\"\0";
    let object = decode(body).unwrap();
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}, "spec": {}, "status": {}})
    );
}

#[test]
fn hostile_bodies_are_refused() {
    let deep = (0..5000).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut out = Writer::default();
        out.bytes(1, &inner);
        out.0
    });
    let empty_items = [0x12, 0].repeat(MAX_OBJECTS + 1);
    for (kind, message) in [("CustomResourceDefinition", deep), ("PodList", empty_items)] {
        let group = if kind == "PodList" { "v1" } else { "apiextensions.k8s.io/v1" };
        let result = decode(&envelope(group, kind, &message));
        assert!(kind == "CustomResourceDefinition" || result.is_err(), "{kind}");
    }
    assert_eq!(decode(&envelope("v1", "Nonsense", b"")).unwrap_err().code(), 415);
    assert_eq!(decode(b"{}").unwrap_err().code(), 400);
    assert_eq!(encode(&json!({"apiVersion": "x/v1", "kind": "Y"})).unwrap_err().code(), 406);
}

#[test]
fn a_watch_frame_holds_its_length() {
    let object = encode(&json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "AQI="}})).unwrap();
    let frame = watch_frame("ADDED", &object);
    let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    assert_eq!(length, frame.len() - 4);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(message in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..200) {
        let kinds: Vec<_> = kinds().collect();
        let (api_version, kind) = kinds[at % kinds.len()];
        if let Ok(object) = decode(&envelope(api_version, kind, &message)) {
            let _ = encode(&object);
        }
        let _ = decode(&message);
    }

    #[test]
    fn any_object_of_any_kind_survives_the_round_trip(seed in any::<u64>(), at in any::<prop::sample::Index>()) {
        let kinds: Vec<_> = kinds().filter(|(_, kind)| *kind != "Table").collect();
        let (api_version, kind) = kinds[at.index(kinds.len())];
        let ty = lookup_kind(api_version, kind).unwrap();
        let mut object = filled(ty, &mut seed.clone(), 0);
        normalize(ty, &mut object);
        let object = with_kind(api_version, kind, object.as_object().unwrap().clone());
        prop_assert_eq!(decode(&encode(&object).unwrap()).unwrap(), object, "{} {}", api_version, kind);
    }

    #[test]
    fn a_damaged_body_is_read_or_refused(seed in any::<u64>(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let ty = lookup_kind("v1", "Pod").unwrap();
        let mut object = filled(ty, &mut seed.clone(), 0);
        normalize(ty, &mut object);
        let mut bytes = encode(&with_kind("v1", "Pod", object.as_object().unwrap().clone())).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode(&bytes);
    }
}
