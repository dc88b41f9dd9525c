//! The part of JSONPath that Kubernetes takes for printer columns: fields, indexes, wildcards and filters.

use serde_json::Value;

/// A path that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter(Vec<Step>, Option<(Compare, Value)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The longest first: one is the beginning of another.
const COMPARE: [(&str, Compare); 6] = [
    ("==", Compare::Equal),
    ("!=", Compare::NotEqual),
    ("<=", Compare::LessOrEqual),
    (">=", Compare::GreaterOrEqual),
    ("<", Compare::Less),
    (">", Compare::Greater),
];

impl JsonPath {
    /// Reads a path such as `.spec.replicas` or `.status.conditions[?(@.type=="Ready")].status`. Errors: why it is none.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        steps(text.strip_prefix('$').unwrap_or(text)).map(JsonPath)
    }

    /// Every value that the path leads to.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        follow(&self.0, value)
    }

    /// The names of a path that consists of fields alone.
    pub fn fields(&self) -> Option<Vec<&str>> {
        self.0
            .iter()
            .map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None })
            .collect()
    }
}

fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (step, after) = match rest.as_bytes()[0] {
            b'.' => field(&rest[1..])?,
            b'[' => bracket(rest)?,
            _ => return Err(format!("unexpected {rest:?}: a path goes on with '.' or '['")),
        };
        found.extend(step);
        rest = after;
    }
    Ok(found)
}

/// A name up to the next `.` or `[`; a backslash takes the special meaning from what follows.
fn field(text: &str) -> Result<(Option<Step>, &str), String> {
    let (mut name, mut escaped, mut end) = (String::new(), false, text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '.' | '[' if !escaped => {
                end = at;
                break;
            }
            c => {
                name.push(c);
                escaped = false;
            }
        }
    }
    let step = match name.as_str() {
        // `.` alone is the value itself, `.[` begins a bracket.
        "" if end == text.len() || text[end..].starts_with('[') => None,
        "" => return Err("a field without a name (recursive descent is not supported)".into()),
        "*" => Some(Step::All),
        _ => Some(Step::Field(name)),
    };
    Ok((step, &text[end..]))
}

fn bracket(text: &str) -> Result<(Option<Step>, &str), String> {
    let end = closing(text).ok_or_else(|| format!("unterminated array in {text:?}"))?;
    let (inner, rest) = (text[1..end].trim(), &text[end + 1..]);
    let step = if let Some(filter) = inner.strip_prefix("?(").and_then(|inner| inner.strip_suffix(')')) {
        filter_step(filter)?
    } else if let Some(name) = quoted(inner) {
        Step::Field(name)
    } else if inner == "*" {
        Step::All
    } else {
        Step::Index(inner.parse().map_err(|_| format!("invalid array index {inner}"))?)
    };
    Ok((Some(step), rest))
}

/// Where the bracket that `text` begins with is closed; brackets in quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 1 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn quoted(text: &str) -> Option<String> {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    Some(inner('\'').or_else(|| inner('"'))?.replace('\\', ""))
}

fn filter_step(text: &str) -> Result<Step, String> {
    let operator = COMPARE.iter().filter_map(|(sign, compare)| Some((text.find(sign)?, *sign, *compare)));
    let Some((at, sign, compare)) = operator.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()))
    else {
        return Ok(Step::Filter(relative(text)?, None));
    };
    let right = text[at + sign.len()..].trim();
    let literal = quoted(right).map(Value::from).or_else(|| serde_json::from_str(right).ok());
    let literal = literal.ok_or_else(|| format!("cannot compare with {right:?}"))?;
    Ok(Step::Filter(relative(&text[..at])?, Some((compare, literal))))
}

fn relative(text: &str) -> Result<Vec<Step>, String> {
    let path =
        text.trim().strip_prefix('@').ok_or_else(|| format!("the filter {text:?} must begin with @"))?;
    steps(path)
}

fn follow<'v>(steps: &[Step], value: &'v Value) -> Vec<&'v Value> {
    let mut values = vec![value];
    for step in steps {
        values = values.into_iter().flat_map(|value| take(step, value)).collect();
    }
    values
}

fn take<'v>(step: &Step, value: &'v Value) -> Vec<&'v Value> {
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::All, Value::Array(items)) => items.iter().collect(),
        (Step::Index(index), Value::Array(items)) => {
            let at = if *index < 0 { index.saturating_add_unsigned(items.len() as u64) } else { *index };
            usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
        }
        (Step::Filter(path, condition), Value::Array(items)) => {
            items.iter().filter(|item| passes(path, condition.as_ref(), item)).collect()
        }
        _ => Vec::new(),
    }
}

fn passes(path: &[Step], condition: Option<&(Compare, Value)>, item: &Value) -> bool {
    let found = follow(path, item);
    let Some((compare, wanted)) = condition else { return !found.is_empty() };
    found.first().is_some_and(|value| {
        let order = match (value, wanted) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (a, b) => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        };
        match compare {
            Compare::Equal => *value == wanted,
            Compare::NotEqual => *value != wanted,
            Compare::Less => order.is_some_and(|order| order.is_lt()),
            Compare::LessOrEqual => order.is_some_and(|order| order.is_le()),
            Compare::Greater => order.is_some_and(|order| order.is_gt()),
            Compare::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(path: &str) -> String {
        let value = json!({"metadata": {"labels": {"a.b/c": "label"}}, "spec": {"n": 3, "list": [{"k": "x"}, {"k": "y"}]},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        let found: Vec<String> =
            JsonPath::parse(path).unwrap().find(&value).iter().map(|value| value.to_string()).collect();
        found.join(",")
    }

    #[test]
    fn the_paths_of_printer_columns_are_followed() {
        for (path, expected) in [
            (".spec.n", "3"),
            ("$.spec.n", "3"),
            (".spec.absent.deeper", ""),
            (r#".status.conditions[?(@.type=="Ready")].status"#, "\"True\""),
            (".status.conditions[?(@.type!='Ready')].status", "\"False\""),
            (".spec.list[*].k", "\"x\",\"y\""),
            (".spec.list[0].k", "\"x\""),
            (".spec.list[-1].k", "\"y\""),
            (".spec.list[7].k", ""),
            (r".metadata.labels.a\.b/c", "\"label\""),
            (".metadata.labels['a.b/c']", "\"label\""),
            (".spec.list[?(@.k)].k", "\"x\",\"y\""),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["spec", ".spec[", ".spec[x]", "..spec", ".a[?(type==1)]", ".a[?(@.b==x)]"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
        assert_eq!(JsonPath::parse(".a.b").unwrap().fields(), Some(vec!["a", "b"]));
        assert_eq!(JsonPath::parse(".a[0]").unwrap().fields(), None);
    }
}
