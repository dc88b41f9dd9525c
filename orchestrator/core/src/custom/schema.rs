//! The structural schema of a custom resource, read once from its definition.

use crate::cel::Program;
use crate::validation::{items, text};
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Largest compiled pattern: the time to match is linear in the text, the memory is bounded by this.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// What a value may be and how it merges.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty for any.
    pub(crate) type_: String,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    /// Unknown fields are kept.
    pub(crate) open: bool,
    /// The value is an object of the API with apiVersion, kind and metadata of its own.
    pub(crate) embedded: bool,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Option<Box<Schema>>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) default: Option<Value>,
    /// `atomic`, `set` or `map`; empty for none.
    pub(crate) list_type: String,
    pub(crate) map_keys: Vec<String>,
    pub(crate) atomic: bool,
    pub(crate) limits: Limits,
    pub(crate) rules: Vec<Rule>,
    /// Whether there are rules in it or below.
    pub(crate) has_rules: bool,
}

/// What else a value must fulfil.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) values: Vec<Value>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) format: String,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) required: Vec<String>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
}

/// A bound of a number.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) value: Value,
    pub(crate) exclusive: bool,
}

/// A pattern as it was written and compiled.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    pub(crate) regex: Regex,
}

/// One of `x-kubernetes-validations`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) rule: String,
    pub(crate) message: String,
    pub(crate) reason: String,
    pub(crate) field_path: String,
    pub(crate) optional_old_self: bool,
    /// The rule as it was read, or why it is none.
    pub(crate) program: Result<Program, String>,
    pub(crate) message_program: Option<Result<Program, String>>,
}

/// Compiles a pattern as Kubernetes' validation takes it. Errors: why it is none.
pub(crate) fn regex(text: &str) -> Result<Regex, String> {
    let builder = regex::RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build();
    builder.map_err(|error| error.to_string().replace('\n', " "))
}

impl Schema {
    /// Reads a schema whose definition was validated; what is no schema reads as one that takes anything.
    pub(crate) fn read(value: &Value) -> Schema {
        let flag = |name: &str| value[name] == true;
        let additional = match &value["additionalProperties"] {
            Value::Bool(true) => Some(Box::new(Schema { open: true, nullable: true, ..Schema::default() })),
            schema @ Value::Object(_) => Some(Box::new(Schema::read(schema))),
            _ => None,
        };
        let mut schema = Schema {
            type_: text(&value["type"]).into(),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            open: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            properties: schemas_by_name(&value["properties"]),
            additional,
            items: value["items"].as_object().map(|_| Box::new(Schema::read(&value["items"]))),
            default: value.get("default").filter(|default| !default.is_null()).cloned(),
            list_type: text(&value["x-kubernetes-list-type"]).into(),
            map_keys: strings(&value["x-kubernetes-list-map-keys"]),
            atomic: value["x-kubernetes-map-type"] == "atomic",
            limits: Limits::read(value),
            rules: items(&value["x-kubernetes-validations"]).map(Rule::read).collect(),
            has_rules: false,
        };
        let here = !schema.rules.is_empty();
        schema.has_rules = here || schema.parts().any(|below| below.has_rules);
        schema
    }

    /// The schemas of its fields, values and items.
    fn parts(&self) -> impl Iterator<Item = &Schema> {
        self.properties.values().chain(self.additional.as_deref()).chain(self.items.as_deref())
    }

    /// The schema of the field or key `name`.
    pub(crate) fn below(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Whether `is` holds for some schema in it.
    pub(crate) fn any(&self, is: &dyn Fn(&Schema) -> bool) -> bool {
        is(self) || self.parts().any(|schema| schema.any(is))
    }
}

fn schemas_by_name(value: &Value) -> BTreeMap<String, Schema> {
    let map: Option<&Map<String, Value>> = value.as_object();
    map.into_iter().flatten().map(|(name, schema)| (name.clone(), Schema::read(schema))).collect()
}

fn strings(value: &Value) -> Vec<String> {
    items(value).map(|item| text(item).to_string()).collect()
}

impl Limits {
    fn read(value: &Value) -> Limits {
        let count = |name: &str| value[name].as_u64();
        let bound = |name: &str, exclusive: &str| {
            let found = value[name].is_number().then(|| value[name].clone())?;
            Some(Bound { value: found, exclusive: value[exclusive] == true })
        };
        let schemas = |name: &str| items(&value[name]).map(Schema::read).collect();
        let pattern = |text: &str| Some(Pattern { text: text.into(), regex: regex(text).ok()? });
        Limits {
            values: items(&value["enum"]).cloned().collect(),
            maximum: bound("maximum", "exclusiveMaximum"),
            minimum: bound("minimum", "exclusiveMinimum"),
            multiple_of: value["multipleOf"].as_f64(),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            pattern: value["pattern"].as_str().filter(|text| !text.is_empty()).and_then(pattern),
            format: text(&value["format"]).into(),
            max_items: count("maxItems"),
            min_items: count("minItems"),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            required: strings(&value["required"]),
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: value["not"].as_object().map(|_| Box::new(Schema::read(&value["not"]))),
        }
    }
}

impl Rule {
    fn read(value: &Value) -> Rule {
        let own = |name: &str| text(&value[name]).to_string();
        let message = text(&value["messageExpression"]).trim();
        Rule {
            program: Program::parse(text(&value["rule"])),
            message_program: (!message.is_empty()).then(|| Program::parse(message)),
            rule: own("rule"),
            message: own("message"),
            reason: own("reason"),
            field_path: own("fieldPath"),
            optional_old_self: value["optionalOldSelf"] == true,
        }
    }

    /// Its message, or what it says itself.
    pub(crate) fn words(&self) -> String {
        if self.message.is_empty() {
            format!("failed rule: {}", self.rule.trim())
        } else {
            self.message.clone()
        }
    }

    /// The path of what it speaks of, where it stands at `path`.
    pub(crate) fn path(&self, path: &str) -> String {
        let below = self.field_path.as_str();
        if path.is_empty() { below.trim_start_matches('.').into() } else { format!("{path}{below}") }
    }
}
