//! Label and field selectors.

mod text;

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
    /// Reads the query form: `a=b,c!=d,e in (f,g),h,!i`. Errors: BadRequest in Kubernetes' words.
    pub fn parse(text: &str) -> Result<LabelSelector, Error> {
        text::labels(text).map(LabelSelector).map_err(Error::bad_request)
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

/// A conjunction of `field=value` and `field!=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Reads the query form; `supported` are the kind's selectable fields besides name and namespace.
    /// Errors: BadRequest for bad syntax or a field that the kind has no index for.
    pub fn parse<S: AsRef<str>>(text: &str, supported: &[S]) -> Result<FieldSelector, Error> {
        let terms = text::fields(text).map_err(Error::bad_request)?;
        let known = |field: &str| {
            matches!(field, "metadata.name" | "metadata.namespace")
                || supported.iter().any(|s| s.as_ref() == field)
        };
        match terms.iter().find(|(field, ..)| !known(field)) {
            None => Ok(FieldSelector(terms)),
            Some((field, ..)) if supported.is_empty() => Err(Error::bad_request(format!(
                "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ))),
            Some((field, ..)) => Err(Error::bad_request(format!("field label not supported: {field}"))),
        }
    }

    /// Reads the query form whatever the fields are. Errors: BadRequest for bad syntax.
    pub fn parse_any(text: &str) -> Result<FieldSelector, Error> {
        text::fields(text).map(FieldSelector).map_err(Error::bad_request)
    }

    /// Reads a list of `metav1.FieldSelectorRequirement`s; none for those that a selector cannot say: more than one value, or
    /// none.
    pub fn from_requirements(requirements: &Value) -> Vec<Option<FieldSelector>> {
        let term = |requirement: &Value| {
            let equal = match requirement["operator"].as_str()? {
                "In" => true,
                "NotIn" => false,
                _ => return None,
            };
            let [value] = requirement["values"].as_array()?.as_slice() else { return None };
            let (field, value) = (requirement["key"].as_str()?.into(), value.as_str()?.into());
            Some(FieldSelector(vec![(field, equal, value)]))
        };
        requirements.as_array().into_iter().flatten().map(term).collect()
    }

    /// What satisfies all of them.
    pub fn all(selectors: impl IntoIterator<Item = FieldSelector>) -> FieldSelector {
        FieldSelector(selectors.into_iter().flat_map(|selector| selector.0).collect())
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
        let empty = labels(&[("e", "")]);
        for text in ["e=", "e in ()", "e in (,x)", "e,e==", "e in(x,)", "notin notin (in)"] {
            assert!(LabelSelector::parse(text).unwrap().matches(&empty), "{text}");
        }
    }

    #[test]
    fn malformed_selectors_are_refused_in_kubernetes_words() {
        for (text, why) in [
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("=x", "found '=', expected: !, identifier, or 'end of string'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a ~ (b)", "unable to parse requirement: found '~', expected: in, notin, =, ==, !=, gt, lt"),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().to_string(), why, "{text}");
        }
        let long = format!("a={}", "x".repeat(64));
        for (text, why) in [
            ("-=x", "<nil>: Invalid value: \"-\": name part must consist of"),
            (
                "A/b=x",
                "<nil>: Invalid value: \"A/b\": prefix part a lowercase RFC 1123 subdomain must consist",
            ),
            ("/b=x", "<nil>: Invalid value: \"/b\": prefix part must be non-empty"),
            ("a/b/c", "<nil>: Invalid value: \"a/b/c\": a valid label key must consist"),
            ("a=-b", "values[0][a]: Invalid value: \"-b\": a valid label must be"),
            ("a in (b,_)", "values[1][a]: Invalid value"),
            ("a>x", "must be an integer"),
            (&long, "must be no more than 63 bytes"),
        ] {
            let said = LabelSelector::parse(text).unwrap_err().to_string();
            assert!(
                said.starts_with("unable to parse requirement: ") && said.contains(why),
                "{text}: {said}"
            );
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
        for (text, supported, why) in [
            ("spec.foo=1", &["status.phase"][..], "field label not supported: spec.foo"),
            (
                "x=1",
                &[],
                "\"x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (
                "metadata.name=a,nonsense",
                &[],
                "invalid selector: 'metadata.name=a,nonsense'; can't understand 'nonsense'",
            ),
            ("metadata.name=a=b", &[], "invalid field selector: unescaped character in value: ="),
            ("metadata.name=a\\x", &[], "invalid field selector: invalid escape sequence: \\x"),
        ] {
            let error = FieldSelector::parse(text, supported).unwrap_err();
            assert_eq!((error.code(), error.to_string().as_str()), (400, why), "{text}");
        }
        let escaped =
            FieldSelector::parse("metadata.name=a\\,b\\=c,metadata.namespace!=d", &[""; 0]).unwrap();
        assert_eq!(escaped.required("metadata.name"), Some("a,b=c"));
        assert_eq!(escaped.required("metadata.namespace"), None);
    }
}
