//! The protobuf form of an OpenAPI v2 document, which older clients ask for. The messages are those of gnostic's
//! `openapi.v2` package; only those that a document of ours uses are in the tables below.

use peapod_core::schema::protobuf::Writer;
use serde_json::{Map, Value};

/// How an object of the document is written.
struct Message {
    /// Key, field number, form.
    fields: &'static [(&'static str, u32, Form)],
    /// Where keys that begin with `x-` go; 0 for nowhere.
    extensions: u32,
    /// Where all other keys go, by name.
    others: Option<(u32, &'static Form)>,
}

enum Form {
    /// Text, or each text of a list.
    Text,
    Flag,
    /// Any value, as YAML text in a message of its own; JSON is YAML.
    Any,
    /// As `Any`, each item of a list.
    EachAny,
    Object(&'static Message),
    /// Each object of a list.
    EachObject(&'static Message),
    /// In a message whose only field of use is this.
    Within(u32, &'static Form),
    /// Parameters, which lie deeper by where they stand in a request.
    Parameters,
}

impl Message {
    const fn new(fields: &'static [(&'static str, u32, Form)], extensions: u32) -> Message {
        Message { fields, extensions, others: None }
    }

    /// Holds values of one form by name, in the messages `number`.
    const fn named(number: u32, form: &'static Form, extensions: u32) -> Message {
        Message { fields: &[], extensions, others: Some((number, form)) }
    }
}

static DOCUMENT: Message = Message::new(
    &[
        ("swagger", 1, Form::Text),
        ("info", 2, Form::Object(&INFO)),
        ("paths", 8, Form::Object(&PATHS)),
        ("definitions", 9, Form::Object(&SCHEMAS)),
    ],
    16,
);
static INFO: Message = Message::new(&[("title", 1, Form::Text), ("version", 2, Form::Text)], 7);
static SCHEMAS: Message = Message::named(1, &Form::Object(&SCHEMA), 0);
static SCHEMA: Message = Message::new(
    &[
        ("$ref", 1, Form::Text),
        ("format", 2, Form::Text),
        ("title", 3, Form::Text),
        ("description", 4, Form::Text),
        ("default", 5, Form::Any),
        ("pattern", 13, Form::Text),
        ("uniqueItems", 16, Form::Flag),
        ("required", 19, Form::Text),
        ("enum", 20, Form::EachAny),
        ("additionalProperties", 21, Form::Within(1, &Form::Object(&SCHEMA))),
        ("type", 22, Form::Within(1, &Form::Text)),
        ("items", 23, Form::Within(1, &Form::Object(&SCHEMA))),
        ("properties", 25, Form::Object(&SCHEMAS)),
    ],
    31,
);
static PATHS: Message = Message::named(2, &Form::Object(&PATH), 1);
static PATH: Message = Message::new(
    &[
        ("get", 2, Form::Object(&OPERATION)),
        ("put", 3, Form::Object(&OPERATION)),
        ("post", 4, Form::Object(&OPERATION)),
        ("delete", 5, Form::Object(&OPERATION)),
        ("patch", 8, Form::Object(&OPERATION)),
        ("parameters", 9, Form::Parameters),
    ],
    10,
);
static OPERATION: Message = Message::new(
    &[
        ("description", 3, Form::Text),
        ("operationId", 5, Form::Text),
        ("produces", 6, Form::Text),
        ("consumes", 7, Form::Text),
        ("parameters", 8, Form::Parameters),
        ("responses", 9, Form::Object(&RESPONSES)),
    ],
    13,
);
static RESPONSES: Message = Message::named(1, &Form::Within(1, &Form::Object(&RESPONSE)), 2);
static RESPONSE: Message = Message::new(&[("description", 1, Form::Text)], 5);

static PARAMETERS: Form = Form::EachObject(&PARAMETER_ITEM);
static PARAMETER_ITEM: Message = Message::new(&[("parameter", 1, Form::Object(&PARAMETER))], 0);
static PARAMETER: Message = Message::new(
    &[
        ("body", 1, Form::Object(&BODY)),
        ("query", 2, Form::Within(3, &Form::Object(&QUERY))),
        ("path", 2, Form::Within(4, &Form::Object(&IN_PATH))),
    ],
    0,
);
static BODY: Message = Message::new(
    &[
        ("description", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("required", 4, Form::Flag),
        ("schema", 5, Form::Object(&SCHEMA)),
    ],
    6,
);
static QUERY: Message = Message::new(
    &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 6, Form::Text),
        ("uniqueItems", 20, Form::Flag),
    ],
    23,
);
static IN_PATH: Message = Message::new(
    &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 5, Form::Text),
        ("uniqueItems", 19, Form::Flag),
    ],
    22,
);

/// The document's message. Errors: the key or value that has no place in it.
pub(super) fn encode(document: &Value) -> Result<Vec<u8>, String> {
    message(&DOCUMENT, document)
}

fn message(message: &Message, value: &Value) -> Result<Vec<u8>, String> {
    let fields = value.as_object().ok_or_else(|| format!("an object is expected: {value}"))?;
    let mut out = Writer::default();
    for (key, value) in fields {
        if let Some((_, number, form)) = message.fields.iter().find(|(name, ..)| name == key) {
            write(&mut out, *number, form, value)?;
        } else if message.extensions > 0 && key.starts_with("x-") {
            named(&mut out, message.extensions, key, &Form::Any, value)?;
        } else if let Some((number, form)) = message.others {
            named(&mut out, number, key, form, value)?;
        } else {
            return Err(format!("{key} has no place"));
        }
    }
    Ok(out.0)
}

fn named(out: &mut Writer, number: u32, name: &str, form: &Form, value: &Value) -> Result<(), String> {
    let mut entry = Writer::default();
    entry.bytes(1, name.as_bytes());
    write(&mut entry, 2, form, value)?;
    out.bytes(number, &entry.0);
    Ok(())
}

fn write(out: &mut Writer, number: u32, form: &Form, value: &Value) -> Result<(), String> {
    match (form, value) {
        (Form::Text, Value::String(text)) => out.bytes(number, text.as_bytes()),
        (Form::Text, Value::Array(items)) => {
            return items.iter().try_for_each(|item| write(out, number, form, item));
        }
        (Form::Flag, Value::Bool(flag)) => out.number(number, i64::from(*flag)),
        (Form::Any, value) => {
            let mut any = Writer::default();
            any.bytes(2, value.to_string().as_bytes());
            out.bytes(number, &any.0);
        }
        (Form::EachAny, Value::Array(items)) => {
            return items.iter().try_for_each(|item| write(out, number, &Form::Any, item));
        }
        (Form::Object(kind), value) => out.bytes(number, &message(kind, value)?),
        (Form::EachObject(kind), Value::Array(items)) => {
            return items.iter().try_for_each(|item| write(out, number, &Form::Object(kind), item));
        }
        (Form::Within(inner, form), value) => {
            let mut only = Writer::default();
            write(&mut only, *inner, form, value)?;
            out.bytes(number, &only.0);
        }
        (Form::Parameters, Value::Array(items)) => {
            return write(out, number, &PARAMETERS, &items.iter().map(placed).collect());
        }
        (_, value) => return Err(format!("not of the field's type: {value}")),
    }
    Ok(())
}

/// A parameter below where it stands in a request.
fn placed(parameter: &Value) -> Value {
    let place = parameter["in"].as_str().unwrap_or_default().to_string();
    let below = Value::Object(Map::from_iter([(place, parameter.clone())]));
    Value::Object(Map::from_iter([("parameter".to_string(), below)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_written_as_their_messages() {
        let document = json!({ "definitions": { "P": {
            "type": "object",
            "required": ["a"],
            "x-k": "v",
        } } });
        let schema: &[u8] = &[
            &[0x9a, 0x01, 1, b'a'][..],                                    // 19 required
            &[0xb2, 0x01, 8, 0x0a, 6, b'o', b'b', b'j', b'e', b'c', b't'], // 22 type { 1 }
            &[0xfa, 0x01, 12, 0x0a, 3, b'x', b'-', b'k', 0x12, 5, 0x12, 3, b'"', b'v', b'"'], // 31 { 1, 2 { 2 } }
        ]
        .concat();
        let length = schema.len() as u8;
        let entry = [&[0x0a, 1, b'P', 0x12, length][..], schema].concat();
        let definitions = [&[0x0a, entry.len() as u8][..], &entry].concat();
        let expected = [&[0x4a, definitions.len() as u8][..], &definitions].concat();
        assert_eq!(encode(&document).unwrap(), expected);
    }

    #[test]
    fn parameters_lie_below_their_place() {
        let list = json!([{ "name": "f", "in": "query" }]);
        let mut out = Writer::default();
        write(&mut out, 8, &Form::Parameters, &list).unwrap();
        let query = [0x12, 5, b'q', b'u', b'e', b'r', b'y', 0x22, 1, b'f'];
        let expected = [&[0x42, 16, 0x0a, 14, 0x12, 12, 0x1a, 10][..], &query].concat();
        assert_eq!(out.0, expected);
    }

    #[test]
    fn what_has_no_place_is_an_error() {
        assert!(encode(&json!({ "surprise": 1 })).is_err());
        assert!(encode(&json!({ "swagger": 2 })).is_err());
    }
}
