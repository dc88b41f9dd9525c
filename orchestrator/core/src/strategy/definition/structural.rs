//! The rules that make a schema structural: every field has one type, said in one place.

use super::{Findings, rules};
use crate::custom;
use crate::custom::schema::{Schema, regex};
use crate::validation::{Errors, child, indexed, items, text};
use peapod_api::FieldError;
use serde_json::{Map, Value};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Keywords of JSON Schema that no structural schema has.
const FORBIDDEN: [&str; 7] =
    ["$ref", "additionalItems", "definitions", "dependencies", "id", "patternProperties", "$schema"];
/// What a part of a combination may not say: it only judges values, it shapes none.
const SHAPING: [&str; 10] = [
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
];

/// Where in an object a schema stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Field,
    Items,
    Value,
}

/// Checks the schema of a version, whose path in the definition is `path`.
pub(super) fn validate(schema: &Value, path: &str, findings: &mut Findings) {
    let mut walk = Walk { findings };
    walk.shape(schema, path, Place::Root);
    rules::validate(schema, path, &mut findings.errors);
    metadata(
        &schema["properties"]["metadata"],
        &format!("{path}.properties[metadata]"),
        &mut findings.errors,
    );
    if !matches!(schema["x-kubernetes-preserve-unknown-fields"], Value::Null | Value::Bool(true)) {
        let why = "must be true or undefined";
        let path = child(path, "x-kubernetes-preserve-unknown-fields");
        findings.errors.push(FieldError::invalid(&path, &false.into(), why));
    }
}

/// Kubernetes knows what metadata is; only its names may be narrowed.
fn metadata(schema: &Value, path: &str, errors: &mut Errors) {
    let Some(map) = schema.as_object() else { return };
    let says = |name: &str| !matches!(name, "type" | "properties" | "description" | "title");
    let properties = schema["properties"].as_object();
    let other = properties
        .is_some_and(|map| map.keys().any(|name| !matches!(name.as_str(), "name" | "generateName")));
    if other || map.keys().any(|name| says(name)) {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(path, why));
    }
}

struct Walk<'f> {
    findings: &'f mut Findings,
}

impl Walk<'_> {
    fn error(&mut self, error: FieldError) {
        self.findings.errors.push(error);
    }

    fn shape(&mut self, schema: &Value, path: &str, place: Place) {
        self.type_(schema, path, place);
        self.keywords(schema, path);
        self.extensions(schema, path);
        self.default(schema, path, place);
        for (name, below) in fields(&schema["properties"]) {
            self.shape(below, &format!("{path}.properties[{name}]"), Place::Field);
        }
        if schema["additionalProperties"].is_object() {
            self.shape(&schema["additionalProperties"], &child(path, "additionalProperties"), Place::Value);
        }
        if schema["items"].is_object() {
            self.shape(&schema["items"], &child(path, "items"), Place::Items);
        }
        self.combinations([schema, schema], [path, path]);
    }

    fn type_(&mut self, schema: &Value, path: &str, place: Place) {
        let (type_, path) = (text(&schema["type"]), child(path, "type"));
        let free = schema["x-kubernetes-int-or-string"] == true
            || schema["x-kubernetes-preserve-unknown-fields"] == true && place != Place::Root;
        match (type_, place) {
            ("", _) if free => {}
            ("", place) => {
                let why = match place {
                    Place::Root => "must not be empty at the root",
                    Place::Items => "must not be empty for specified array items",
                    Place::Field | Place::Value => "must not be empty for specified object fields",
                };
                self.error(FieldError::required(&path, why));
            }
            (_, Place::Root) if type_ != "object" => {
                self.error(FieldError::invalid(&path, &schema["type"], "must be object at the root"));
            }
            _ if schema["x-kubernetes-int-or-string"] == true => {
                let why = "must be empty if x-kubernetes-int-or-string is true";
                self.error(FieldError::invalid(&path, &schema["type"], why));
            }
            _ if !TYPES.contains(&type_) => {
                self.error(FieldError::not_supported(&path, &schema["type"], &TYPES));
            }
            _ => {}
        }
    }

    /// What schemas and parts of combinations may not say alike.
    fn keywords(&mut self, schema: &Value, path: &str) {
        for name in
            FORBIDDEN.into_iter().filter(|name| schema.get(name).is_some_and(|value| !value.is_null()))
        {
            self.error(FieldError::forbidden(&child(path, name), &format!("{name} is not supported")));
        }
        if schema["uniqueItems"] == true {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.error(FieldError::forbidden(&child(path, "uniqueItems"), why));
        }
        let additional = &schema["additionalProperties"];
        if additional == false {
            let why = "additionalProperties cannot be set to false";
            self.error(FieldError::forbidden(&child(path, "additionalProperties"), why));
        } else if !additional.is_null() && fields(&schema["properties"]).next().is_some() {
            let why = "additionalProperties and properties are mutual exclusive";
            self.error(FieldError::forbidden(&child(path, "additionalProperties"), why));
        }
        if schema["items"].is_array() {
            let why = "items must be a schema object and not an array";
            self.error(FieldError::forbidden(&child(path, "items"), why));
        }
        let pattern = &schema["pattern"];
        if let Some(Err(why)) = pattern.as_str().map(regex) {
            let why = format!("must be a valid regular expression, but isn't: {why}");
            self.error(FieldError::invalid(&child(path, "pattern"), pattern, &why));
        }
        let format = text(&schema["format"]);
        if !format.is_empty() && format != "int-or-string" && !custom::knows_format(format) {
            self.findings.warnings.push(format!("{}: unrecognized format {format:?}", child(path, "format")));
        }
    }

    fn extensions(&mut self, schema: &Value, path: &str) {
        let type_ = text(&schema["type"]);
        if schema["x-kubernetes-embedded-resource"] == true {
            if type_ != "object" {
                let why = "must be object if x-kubernetes-embedded-resource is true";
                self.error(FieldError::invalid(&child(path, "type"), &schema["type"], why));
            }
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
            if !open && fields(&schema["properties"]).next().is_none() {
                let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
                self.error(FieldError::required(&child(path, "properties"), why));
            }
        }
        self.list_type(schema, type_, path);
        let map_type = &schema["x-kubernetes-map-type"];
        if map_type.is_string() {
            let at = child(path, "x-kubernetes-map-type");
            if type_ != "object" {
                let why = "must be object if x-kubernetes-map-type is specified";
                self.error(FieldError::invalid(&child(path, "type"), &schema["type"], why));
            }
            if !matches!(text(map_type), "atomic" | "granular") {
                self.error(FieldError::not_supported(&at, map_type, &["atomic", "granular"]));
            }
        }
    }

    fn list_type(&mut self, schema: &Value, type_: &str, path: &str) {
        let (list_type, keys) = (&schema["x-kubernetes-list-type"], &schema["x-kubernetes-list-map-keys"]);
        let (at, keys_at) =
            (child(path, "x-kubernetes-list-type"), child(path, "x-kubernetes-list-map-keys"));
        let has_keys = items(keys).next().is_some();
        if list_type.is_string() && type_ != "array" {
            let why = "must be array if x-kubernetes-list-type is specified";
            self.error(FieldError::invalid(&child(path, "type"), &schema["type"], why));
            return;
        }
        match text(list_type) {
            "" if has_keys => {
                let why = "must be map if x-kubernetes-list-map-keys is non-empty";
                self.error(FieldError::required(&at, why));
            }
            "" | "atomic" => {}
            "set" => self.set_items(&schema["items"], &child(path, "items")),
            "map" if !has_keys => {
                let why = "must not be empty if x-kubernetes-list-type is map";
                self.error(FieldError::required(&keys_at, why));
            }
            "map" => self.map_keys(schema, keys, path),
            _ => self.error(FieldError::not_supported(&at, list_type, &["atomic", "map", "set"])),
        }
        if has_keys && matches!(text(list_type), "set" | "atomic") {
            let why = "must be empty if x-kubernetes-list-type is not map";
            self.error(FieldError::forbidden(&keys_at, why));
        }
    }

    fn set_items(&mut self, item: &Value, path: &str) {
        if item["nullable"] == true {
            let why = "cannot be nullable when x-kubernetes-list-type is set";
            self.error(FieldError::forbidden(&child(path, "nullable"), why));
        }
        let atomic = match text(&item["type"]) {
            "object" => item["x-kubernetes-map-type"] == "atomic",
            "array" => matches!(item["x-kubernetes-list-type"].as_str(), None | Some("atomic")),
            _ => true,
        };
        if !atomic {
            let (field, wanted) = match text(&item["type"]) {
                "object" => {
                    ("x-kubernetes-map-type", "atomic as item of a list with x-kubernetes-list-type=set")
                }
                _ => ("x-kubernetes-list-type", "atomic as item of a list with x-kubernetes-list-type=set"),
            };
            self.error(FieldError::invalid(&child(path, field), &item[field], &format!("must be {wanted}")));
        }
    }

    fn map_keys(&mut self, schema: &Value, keys: &Value, path: &str) {
        let item = &schema["items"];
        if item["type"] != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            self.error(FieldError::invalid(&child(path, "items.type"), &item["type"], why));
        }
        for (at, key) in indexed(keys, &child(path, "x-kubernetes-list-map-keys")) {
            let name = text(key);
            let Some(field) = item["properties"].get(name) else {
                let why = "entries must all be names of item properties";
                self.error(FieldError::invalid(&at, key, why));
                continue;
            };
            let at = format!("{path}.items.properties[{name}]");
            if matches!(text(&field["type"]), "array" | "object") {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                self.error(FieldError::invalid(&child(&at, "type"), &field["type"], why));
            }
            let required = items(&item["required"]).any(|name| name == key);
            if !required && field.get("default").is_none_or(Value::is_null) {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.error(FieldError::required(&child(&at, "default"), why));
            }
        }
    }

    /// A default is a value of its own schema.
    fn default(&mut self, schema: &Value, path: &str, place: Place) {
        let Some(default) = schema.get("default").filter(|default| !default.is_null()) else { return };
        let path = child(path, "default");
        if place == Place::Root {
            self.error(FieldError::forbidden(&path, "must not be set at the root"));
            return;
        }
        let mut faults = Errors::new();
        custom::check_default(&Schema::read(schema), default, &path, &mut faults);
        self.findings.errors.extend(faults);
    }

    /// The parts of a combination judge values whose shape is said outside of it: by the second schema, at the second
    /// path.
    fn combinations(&mut self, [schema, shape]: [&Value; 2], [path, shape_path]: [&str; 2]) {
        for list in ["allOf", "anyOf", "oneOf"] {
            for (path, part) in indexed(&schema[list], &child(path, list)) {
                self.part([part, shape], [&path, shape_path]);
            }
        }
        if schema["not"].is_object() {
            self.part([&schema["not"], shape], [&child(path, "not"), shape_path]);
        }
    }

    fn part(&mut self, [part, shape]: [&Value; 2], [path, shape_path]: [&str; 2]) {
        let mixed = shape["x-kubernetes-int-or-string"] == true;
        let set = |name: &str| {
            part.get(name).is_some_and(|value| !value.is_null() && value != false && value != "")
        };
        for name in SHAPING.into_iter().filter(|name| set(name) && !(mixed && *name == "type")) {
            self.error(FieldError::forbidden(&child(path, name), "must be empty to be structural"));
        }
        self.keywords(part, path);
        let none = Value::Object(Map::new());
        for (name, below) in fields(&part["properties"]) {
            let [path, shape_path] = [path, shape_path].map(|path| format!("{path}.properties[{name}]"));
            let shaped = shape["properties"].get(name);
            if shaped.is_none() && shape["x-kubernetes-preserve-unknown-fields"] != true {
                self.error(FieldError::required(&shape_path, &format!("because it is defined in {path}")));
            }
            self.part([below, shaped.unwrap_or(&none)], [&path, &shape_path]);
        }
        if part["items"].is_object() {
            self.part(
                [&part["items"], &shape["items"]],
                [&child(path, "items"), &child(shape_path, "items")],
            );
        }
        self.combinations([part, shape], [path, shape_path]);
    }
}

fn fields(properties: &Value) -> impl Iterator<Item = (&String, &Value)> {
    properties.as_object().into_iter().flatten()
}
