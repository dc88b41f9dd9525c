use super::*;
use peapod_api::kinds;

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com", "uid": "u"},
        "spec": {"group": "example.com", "scope": "Namespaced", "conversion": {"strategy": "None"},
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}})
}

/// The complaints about the definition once `path` is `value`.
fn complaints(path: &str, value: Value) -> Vec<String> {
    let mut definition = definition();
    match definition.pointer_mut(path) {
        Some(place) => *place = value,
        None => {
            let (parent, name) = path.rsplit_once('/').unwrap();
            definition.pointer_mut(parent).unwrap()[name] = value;
        }
    }
    let mut findings = Findings::default();
    costs(&definition, &Value::Null, &mut findings.errors);
    validate(&definition, &mut findings);
    findings.errors.iter().map(ToString::to_string).collect()
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

#[test]
fn a_plain_definition_is_valid_and_remembers_what_it_stores() {
    let mut definition = definition();
    (STRATEGY.prepare_create)(&mut definition);
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    definition["spec"]["versions"][0]["name"] = "v2".into();
    (STRATEGY.prepare_update)(&mut definition, &Value::Null);
    assert_eq!(definition["status"]["storedVersions"], json!(["v1", "v2"]));
    assert_eq!(complaints("/metadata/uid", json!("v")), Vec::<String>::new());
    let kind = kinds::of_resource(crate::custom::DEFINITIONS).unwrap();
    let left = super::super::validate_create(kind, &definition).unwrap_err();
    assert!(left.to_string().contains("status.storedVersions[0]: Invalid value: \"v1\""), "{left}");
}

#[test]
fn names_groups_and_versions_are_judged_in_kubernetes_words() {
    for (path, value, expected) in [
        (
            "/metadata/name",
            json!("other.example.com"),
            r#"metadata.name: Invalid value: "other.example.com": must be spec.names.plural+"."+spec.group"#,
        ),
        (
            "/spec/scope",
            json!("World"),
            r#"spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#,
        ),
        (
            "/spec/names/singular",
            json!("Widget"),
            r#"spec.names.singular: Invalid value: "Widget": a DNS-1035 label must"#,
        ),
        (
            "/spec/names/kind",
            json!("wid_get"),
            r#"spec.names.kind: Invalid value: "wid_get": may have mixed case, but should otherwise match: a DNS-1035"#,
        ),
        (
            "/spec/names/listKind",
            json!("Widget"),
            r#"spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same"#,
        ),
        ("/spec/versions/0/storage", json!(false), "must have exactly one version marked as storage version"),
        ("/spec/versions/0/name", json!("V1"), r#"spec.versions[0].name: Invalid value: "V1": a DNS-1035"#),
        (
            "/spec/versions/0/schema",
            json!({}),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            "/spec/conversion/strategy",
            json!("Webhook"),
            "spec.conversion.strategy: Forbidden: this server converts nothing by webhook",
        ),
        (
            "/spec/preserveUnknownFields",
            json!(true),
            "spec.preserveUnknownFields: Invalid value: true: must be false",
        ),
        (
            "/spec/versions/0/additionalPrinterColumns",
            json!([{"name": "A", "type": "text", "jsonPath": "spec"}]),
            r#"spec.additionalPrinterColumns[0].type: Unsupported value: "text""#,
        ),
        (
            "/spec/versions/0/subresources",
            json!({"scale": {"specReplicasPath": ".status.a", "statusReplicasPath": ".status.b"}}),
            r#"spec.subresources.scale.specReplicasPath: Invalid value: ".status.a": should be a json path under .spec"#,
        ),
        (
            "/spec/versions/0/selectableFields",
            json!([{"jsonPath": ".spec.absent"}]),
            r#"spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.absent": must point to a field of type"#,
        ),
    ] {
        let found = complaints(path, value).join("\n");
        assert!(found.contains(expected), "{path}: {found}");
    }
    let group = complaints("/spec/group", json!("example")).join("\n");
    assert!(
        group.contains("spec.group: Invalid value: \"example\": should be a domain with at least one dot"),
        "{group}"
    );
    let group = complaints("/spec/group", json!("x.k8s.io")).join("\n");
    assert!(
        group.contains("metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups"),
        "{group}"
    );
}

#[test]
fn schemas_must_be_structural() {
    let path = "spec.validation.openAPIV3Schema";
    let int = json!({"type": "integer"});
    for (schema, expected) in [
        (json!({"properties": {}}), ".type: Required value: must not be empty at the root"),
        (json!({"type": "string"}), ".type: Invalid value: \"string\": must be object at the root"),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            ".properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}),
            ".properties[a].items.type: Required value: must not be empty for specified array items",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "text"}}}),
            ".properties[a].type: Unsupported value: \"text\"",
        ),
        (json!({"type": "object", "$ref": "#/x"}), ".$ref: Forbidden: $ref is not supported"),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true, "items": int}}}),
            ".properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": false}}}),
            ".properties[a].additionalProperties: Forbidden: additionalProperties cannot be set to false",
        ),
        (
            json!({"type": "object", "properties": {"a": int}, "additionalProperties": int}),
            ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            json!({"type": "object", "properties": {"a": int}, "anyOf": [{"properties": {"a": {"type": "integer"}}}]}),
            ".anyOf[0].properties[a].type: Forbidden: must be empty to be structural",
        ),
        (
            json!({"type": "object", "properties": {"a": int}, "oneOf": [{"properties": {"b": {"minimum": 1}}}]}),
            ".properties[b]: Required value: because it is defined in spec.validation.openAPIV3Schema.oneOf[0].properties[b]",
        ),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
            ".properties[metadata]: Forbidden: must not specify anything other than name and generateName",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}),
            ".properties[a].default: Invalid value: \"string\"",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
            ".properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: ",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-list-type": "set"}}}),
            ".properties[a].type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
            ".properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-embedded-resource": true}}}),
            ".properties[a].type: Invalid value: \"string\": must be object if x-kubernetes-embedded-resource is true",
        ),
    ] {
        let found = complaints(SCHEMA, schema).join("\n");
        assert!(found.contains(&format!("{path}{expected}")), "{expected}: {found}");
    }
    let keyed = json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}});
    assert!(complaints(SCHEMA, keyed)[0].contains("it must have a default or be a required property"));
}

#[test]
fn what_operators_write_is_structural() {
    let schema = json!({"type": "object", "description": "d", "required": ["spec"], "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^[0-9]+%?$"},
            "template": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "raw": {"x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer", "format": "int32"}, "protocol": {"type": "string", "default": "TCP"}}}}},
            "oneOf": [{"required": ["port"]}, {"required": ["raw"]}]}}});
    assert_eq!(complaints(SCHEMA, schema), Vec::<String>::new());
}

#[test]
fn identity_is_immutable() {
    let (mut new, mut old) = (definition(), definition());
    old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    new["spec"]["scope"] = "Cluster".into();
    new["spec"]["names"]["kind"] = "Gadget".into();
    let mut findings = Findings::default();
    validate_update(&new, &old, &mut findings);
    let found: Vec<&str> = findings.errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(found, ["spec.names.kind", "spec.scope"]);
}

/// What is said of a schema of `spec` about the cost of its rules.
fn expensive(spec: Value) -> Vec<String> {
    let found = complaints(&format!("{SCHEMA}/properties/spec"), spec);
    found.into_iter().map(|why| why.replace("spec.validation.openAPIV3Schema.", "")).collect()
}

#[test]
fn rules_that_may_cost_too_much_are_refused_with_the_factor() {
    let list = |item: Value, max: Option<u64>, rule: &str| {
        let mut list = json!({"type": "array", "items": item, "x-kubernetes-validations": [{"rule": rule, "message": "m"}]});
        if let Some(max) = max {
            list["maxItems"] = max.into();
        }
        json!({"type": "object", "properties": {"list": list}})
    };
    let text = |max: u64| json!({"type": "string", "maxLength": max});
    let hint = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
    let at =
        "properties[spec].properties[list].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost";
    // Each with each of the other, without a limit, and with one.
    let pairs = "self.all(a, self.exists_one(b, a == b))";
    assert_eq!(
        expensive(list(json!({"type": "string"}), None, pairs))[0],
        format!("{at} exceeds budget by factor of more than 100x {hint}")
    );
    assert_eq!(expensive(list(text(64), Some(100), pairs)), Vec::<String>::new());
    assert_eq!(expensive(list(text(64), None, "self.all(a, a.startsWith('x'))")), Vec::<String>::new());
    assert!(
        expensive(list(text(64), Some(1000), pairs))[0]
            .starts_with(&format!("{at} exceeds budget by factor of "))
    );
    // A rule of an item counts as often as there may be items.
    let item = json!({"type": "string", "x-kubernetes-validations": [{"rule": "self.contains('a')", "message": "m"}]});
    let found =
        expensive(json!({"type": "object", "properties": {"list": {"type": "array", "items": item}}}));
    assert!(
        found[0].contains("properties[list].items.x-kubernetes-validations[0].rule: Forbidden: estimated"),
        "{found:?}"
    );
    // Together they are too much, though none is alone.
    let rule = json!({"rule": "self.all(a, a.contains('abcdefghij'))", "message": "m"});
    let many: Vec<Value> = (0..20).map(|_| rule.clone()).collect();
    let list =
        json!({"type": "array", "maxItems": 40_000, "items": text(500), "x-kubernetes-validations": many});
    let found = expensive(json!({"type": "object", "properties": {"list": list}}));
    let total = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of";
    assert!(found.iter().any(|why| why.contains("contributed to estimated rule cost total")), "{found:?}");
    assert!(found.last().unwrap().contains(total), "{found:?}");
}

#[test]
fn rules_that_were_accepted_once_may_stay() {
    let pairs = json!({"type": "array", "items": {"type": "string"},
        "x-kubernetes-validations": [{"rule": "self.all(a, self.exists_one(b, a == b))", "message": "m"}]});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"list": pairs}}});
    let version = |name: &str, schema: &Value| json!({"name": name, "schema": schema});
    let definition = |versions: &[Value]| json!({"spec": {"versions": versions}});
    let count = |new: &[Value], old: &[Value]| {
        let mut errors = Errors::new();
        costs(&definition(new), &definition(old), &mut errors);
        errors.len()
    };
    let (old, mut changed) = (version("v1", &schema), schema.clone());
    changed["openAPIV3Schema"]["description"] = "changed".into();
    let before = std::slice::from_ref(&old);
    assert_eq!(count(before, &[]), 1);
    assert_eq!(count(before, before), 0);
    assert_eq!(count(&[version("v1", &changed)], before), 1);
    assert_eq!(count(&[old.clone(), version("v2", &schema)], before), 1);
    assert_eq!(count(&[old.clone(), version("v2", &changed)], &[old.clone(), version("v2", &changed)]), 0);
}
