//! Label and field selectors.

use crate::error::Error;
use crate::object::Object;
use serde_json::Value;
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

/// A conjunction of label requirements; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Reads the query form: `a=b,c!=d,e in (f,g),h,!i`. Errors: BadRequest that names the text.
    pub fn parse(text: &str) -> Result<LabelSelector, Error> {
        let bad = |why: &str| {
            Error::bad_request(format!("unable to parse requirement: {why} in selector {text:?}"))
        };
        let parts = split_outside_parentheses(text);
        let wanted = parts.into_iter().filter(|part| !part.is_empty());
        wanted.map(|part| requirement(part).map_err(&bad)).collect::<Result<_, _>>().map(LabelSelector)
    }

    /// Reads a `metav1.LabelSelector` object. Absent matches nothing in Kubernetes, empty everything: so `None` for null.
    pub fn from_object(selector: &Value) -> Option<LabelSelector> {
        let object = selector.as_object()?;
        let equal = object.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
        let mut list: Vec<Requirement> =
            equal.map(|(k, v)| equals(k, v.as_str().unwrap_or_default())).collect();
        for expression in object.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            list.push(from_expression(expression)?);
        }
        Some(LabelSelector(list))
    }

    /// Reads a plain map of labels, as a Service's selector is.
    pub fn from_map(map: &Labels) -> LabelSelector {
        LabelSelector(map.iter().map(|(k, v)| equals(k, v)).collect())
    }

    /// Reads a node selector term's `matchExpressions`, which has Gt and Lt besides. None: an operator is unknown.
    pub fn from_expressions(expressions: &Value) -> Option<LabelSelector> {
        let list = expressions.as_array().into_iter().flatten();
        list.map(from_expression).collect::<Option<_>>().map(LabelSelector)
    }

    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.operator {
            Operator::In(set) => value.is_some_and(|v| set.contains(v)),
            Operator::NotIn(set) => value.is_none_or(|v| !set.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|n| n > *bound),
            Operator::LessThan(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

fn equals(key: &str, value: &str) -> Requirement {
    Requirement { key: key.into(), operator: Operator::In(vec![value.into()]) }
}

fn from_expression(expression: &Value) -> Option<Requirement> {
    let values = expression["values"].as_array().into_iter().flatten();
    let values: Vec<String> = values.filter_map(Value::as_str).map(Into::into).collect();
    let bound = || values.first()?.parse().ok();
    let operator = match expression["operator"].as_str()? {
        "In" => Operator::In(values),
        "NotIn" => Operator::NotIn(values),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan(bound()?),
        "Lt" => Operator::LessThan(bound()?),
        _ => return None,
    };
    Some(Requirement { key: expression["key"].as_str()?.into(), operator })
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn requirement(text: &str) -> Result<Requirement, &'static str> {
    if let Some(key) = text.strip_prefix('!') {
        return checked(key, Operator::DoesNotExist);
    }
    for (sign, positive) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(sign) {
            let set = vec![label_value(value)?];
            return checked(key, if positive { Operator::In(set) } else { Operator::NotIn(set) });
        }
    }
    if let Some((key, bound)) = text.split_once(['>', '<']) {
        let bound = bound.trim().parse().map_err(|_| "the bound must be an integer")?;
        let greater = text.contains('>');
        return checked(key, if greater { Operator::GreaterThan(bound) } else { Operator::LessThan(bound) });
    }
    let Some((head, list)) = text.split_once('(') else { return checked(text, Operator::Exists) };
    let list = list.trim_end().strip_suffix(')').ok_or("found no closing ')'")?;
    let set = list.split(',').map(label_value).collect::<Result<Vec<_>, _>>()?;
    let (key, word) = head.trim().rsplit_once(char::is_whitespace).ok_or("expected 'in' or 'notin'")?;
    match word {
        "in" => checked(key, Operator::In(set)),
        "notin" => checked(key, Operator::NotIn(set)),
        _ => Err("expected 'in' or 'notin'"),
    }
}

fn checked(key: &str, operator: Operator) -> Result<Requirement, &'static str> {
    let key = key.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if key.is_empty() || !key.chars().all(allowed) || !key.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("found an invalid label key");
    }
    Ok(Requirement { key: key.into(), operator })
}

fn label_value(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() > 63 || !text.chars().all(allowed) {
        return Err("found an invalid label value");
    }
    Ok(text.into())
}

/// A conjunction of `field=value` and `field!=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Reads the query form; `supported` are the kind's selectable fields besides name and namespace.
    /// Errors: BadRequest for bad syntax or a field that the kind has no index for.
    pub fn parse<S: AsRef<str>>(text: &str, supported: &[S]) -> Result<FieldSelector, Error> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| term(part, supported)).collect::<Result<_, _>>().map(FieldSelector)
    }

    /// The same selector with each field that stands in `from` called as in `to` at the same place.
    pub fn renamed<S: AsRef<str>>(mut self, from: &[S], to: &[S]) -> FieldSelector {
        for (field, _, _) in &mut self.0 {
            if let Some((_, name)) = from.iter().zip(to).find(|(name, _)| name.as_ref() == field.as_str()) {
                *field = name.as_ref().into();
            }
        }
        self
    }

    /// Whether the object's header satisfies every term.
    pub fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|(field, equal, value)| (value_of(object, field) == value) == *equal)
    }

    /// The value that `field` must equal, if there is one: what a list or watch can be narrowed by.
    pub fn required(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, equal, _)| name == field && *equal).map(|(_, _, value)| value.as_str())
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn value_of<'a>(object: &'a Object, field: &str) -> &'a str {
    match field {
        "metadata.name" => object.name(),
        "metadata.namespace" => object.namespace(),
        _ => object.header.fields.iter().find(|(name, _)| **name == *field).map_or("", |(_, value)| value),
    }
}

fn term<S: AsRef<str>>(text: &str, supported: &[S]) -> Result<(String, bool, String), Error> {
    let signs = [("!=", false), ("==", true), ("=", true)];
    let split = signs.iter().find_map(|(sign, equal)| text.split_once(sign).map(|(f, v)| (f, *equal, v)));
    let Some((field, equal, value)) = split else {
        return Err(Error::bad_request(format!("invalid selector: {text:?}; can't understand {text:?}")));
    };
    let known = matches!(field, "metadata.name" | "metadata.namespace");
    if !known && !supported.iter().any(|s| s.as_ref() == field) {
        return Err(Error::bad_request(format!("field label not supported: {field}")));
    }
    Ok((field.into(), equal, value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn query_forms() {
        let object = labels(&[("app", "web"), ("tier", "front"), ("n", "5")]);
        for (text, expected) in [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (api, web)", true),
            ("app notin (web)", false),
            ("missing notin (x)", true),
            ("tier", true),
            ("!tier", false),
            ("!nope", true),
            ("", true),
            ("n>4", true),
            ("n<5", false),
            ("example.com/x notin (a,b),app", true),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&object), expected, "{text}");
        }
        for text in ["a in b", "a in (b", "=x", "a=b c", "a ~ (b)", "-=x"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn object_forms() {
        let selector =
            json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]});
        let selector = LabelSelector::from_object(&selector).unwrap();
        assert!(selector.matches(&labels(&[("a", "1"), ("b", "")])));
        assert!(!selector.matches(&labels(&[("a", "1")])));
        assert!(LabelSelector::from_object(&Value::Null).is_none());
        assert!(LabelSelector::from_object(&json!({})).unwrap().is_empty());
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(FieldSelector::parse("status.phase=Running", &["status.phase"]).is_ok());
        assert!(FieldSelector::parse("spec.foo=1", &["status.phase"]).is_err());
        assert!(FieldSelector::parse("nonsense", &["status.phase"]).is_err());
    }
}
