//! Values of expressions.

use super::Fault;
use super::authorizer::{Decision, Rights};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use peapod_api::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A value. Cloning costs a reference count.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Val>>),
    Map(Arc<BTreeMap<Key, Val>>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(Timestamp),
    Type(Arc<str>),
    Optional(Option<Box<Val>>),
    Quantity(Quantity),
    Url(Arc<Url>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Semver(Arc<semver::Version>),
    /// The function that gives it.
    Format(&'static str),
    /// What is asked of rights, and what the answer is.
    Rights(Arc<Rights>),
    Decision(Arc<Decision>),
}

/// What a map is asked by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Arc<str>),
}

/// The parts of a URL, percent-encoding left as it is but in the path and query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Url {
    pub(super) text: String,
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
}

impl From<&str> for Val {
    fn from(text: &str) -> Val {
        Val::String(text.into())
    }
}

impl From<String> for Val {
    fn from(text: String) -> Val {
        Val::String(text.into())
    }
}

impl From<Vec<Val>> for Val {
    fn from(items: Vec<Val>) -> Val {
        Val::List(Arc::new(items))
    }
}

impl Val {
    /// What CEL calls its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Uint(_) => "uint",
            Val::Double(_) => "double",
            Val::String(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::Timestamp(_) => "google.protobuf.Timestamp",
            Val::Type(_) => "type",
            Val::Optional(_) => "optional_type",
            Val::Quantity(_) => "kubernetes.Quantity",
            Val::Url(_) => "kubernetes.URL",
            Val::Ip(_) => "net.IP",
            Val::Cidr(..) => "net.CIDR",
            Val::Semver(_) => "kubernetes.Semver",
            Val::Format(_) => "kubernetes.NamedFormat",
            Val::Rights(rights) => rights.type_name(),
            Val::Decision(_) => "kubernetes.authorization.Decision",
        }
    }

    /// As the key of a map. Errors: the type is none of a key.
    pub(super) fn key(&self) -> Result<Key, Fault> {
        match self {
            Val::Bool(on) => Ok(Key::Bool(*on)),
            Val::Int(n) => Ok(Key::Int(*n)),
            Val::Uint(n) => Ok(i64::try_from(*n).map_or(Key::Uint(*n), Key::Int)),
            Val::Double(n) if n.fract() == 0.0 && n.abs() < 9e15 => Ok(Key::Int(*n as i64)),
            Val::String(text) => Ok(Key::String(text.clone())),
            other => Err(Fault::new(format!("unsupported key type: {}", other.type_name()))),
        }
    }

    /// About how much memory it is worth comparing: 1 and what is in it.
    pub(super) fn size(&self) -> usize {
        match self {
            Val::String(text) => 1 + text.len() / 10,
            Val::Bytes(bytes) => 1 + bytes.len() / 10,
            Val::List(items) => 1 + items.len(),
            Val::Map(map) => 1 + map.len(),
            _ => 1,
        }
    }

    /// Equality across number types, deep; what cannot be compared is different.
    pub(super) fn same(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::String(a), Val::String(b)) => a == b,
            (Val::Bytes(a), Val::Bytes(b)) => a == b,
            (Val::List(a), Val::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b))
            }
            (Val::Map(a), Val::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| value.same(other)))
            }
            (Val::Duration(a), Val::Duration(b)) => a == b,
            (Val::Timestamp(a), Val::Timestamp(b)) => a == b,
            (Val::Type(a), Val::Type(b)) => a == b,
            (Val::Optional(a), Val::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.same(b),
                _ => false,
            },
            (Val::Quantity(a), Val::Quantity(b)) => a == b,
            (Val::Url(a), Val::Url(b)) => a == b,
            (Val::Ip(a), Val::Ip(b)) => a == b,
            (Val::Cidr(a, n), Val::Cidr(b, m)) => a == b && n == m,
            (Val::Semver(a), Val::Semver(b)) => a.cmp_precedence(b).is_eq(),
            (Val::Format(a), Val::Format(b)) => a == b,
            (a, b) => a.compared(b).is_some_and(std::cmp::Ordering::is_eq),
        }
    }

    /// The order of two values of one kind; none if they have none.
    pub(super) fn compared(&self, other: &Val) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            (Val::Uint(a), Val::Uint(b)) => Some(a.cmp(b)),
            (Val::Int(a), Val::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Val::Uint(a), Val::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Val::String(a), Val::String(b)) => Some(a.cmp(b)),
            (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
            (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
            (Val::Timestamp(a), Val::Timestamp(b)) => Some(a.cmp(b)),
            (a, b) => a.number()?.partial_cmp(&b.number()?),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Val::Int(n) => Some(*n as f64),
            Val::Uint(n) => Some(*n as f64),
            Val::Double(n) => Some(*n),
            _ => None,
        }
    }
}

impl From<Key> for Val {
    fn from(key: Key) -> Val {
        match key {
            Key::Bool(on) => Val::Bool(on),
            Key::Int(n) => Val::Int(n),
            Key::Uint(n) => Val::Uint(n),
            Key::String(text) => Val::String(text),
        }
    }
}

/// A value as JSON: what has no form of its own there is text.
pub(crate) fn to_json(value: &Val) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Bool(on) => (*on).into(),
        Val::Int(n) => (*n).into(),
        Val::Uint(n) => (*n).into(),
        Val::Double(n) => (*n).into(),
        Val::List(items) => items.iter().map(to_json).collect(),
        Val::Map(map) => {
            let entry =
                |(key, value): (&Key, &Val)| (super::text::shown(&key.clone().into()), to_json(value));
            Value::Object(map.iter().map(entry).collect())
        }
        Val::Optional(inner) => inner.as_deref().map_or(Value::Null, to_json),
        Val::Bytes(bytes) => STANDARD.encode(bytes).into(),
        other => super::text::shown(other).into(),
    }
}
