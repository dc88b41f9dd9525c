//! Which parts of an object a row shows, so that nothing else has to be read into a tree.

use peapod_api::kind::{Cell, Column};
use peapod_api::{Kind, kinds};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Which parts of a value are read.
#[derive(Debug)]
pub(super) enum Parts {
    /// All of it.
    All,
    /// These fields of a map, or of each map in a list.
    Fields(Vec<(String, Parts)>),
    /// A map's keys, with null for each value.
    Keys,
}

/// What says how a pod does.
const POD_STATE: &[&str] = &[
    "metadata.deletionTimestamp",
    "spec.containers.name",
    "spec.initContainers.name",
    "spec.initContainers.restartPolicy",
    "status.phase",
    "status.reason",
    "status.conditions.type",
    "status.conditions.status",
    "status.conditions.reason",
    "status.containerStatuses.ready",
    "status.containerStatuses.restartCount",
    "status.containerStatuses.state",
    "status.containerStatuses.lastState.terminated.finishedAt",
    "status.initContainerStatuses.name",
    "status.initContainerStatuses.ready",
    "status.initContainerStatuses.started",
    "status.initContainerStatuses.restartCount",
    "status.initContainerStatuses.state",
    "status.initContainerStatuses.lastState.terminated.finishedAt",
];

/// What a computed cell reads: paths through maps and lists, where `*` stands for the keys of a map alone. None: any field.
fn read_by(cell: &str) -> Option<&'static [&'static str]> {
    Some(match cell {
        "configmap.data" => &["data.*", "binaryData.*"],
        "secret.data" => &["data.*"],
        "deployment.ready" => &["spec.replicas", "status.readyReplicas"],
        "pod.ready" | "pod.status" | "pod.restarts" => POD_STATE,
        "pod.ip" => &["status.podIP"],
        "pod.node" => &["spec.nodeName"],
        "pod.nominated-node" => &["status.nominatedNodeName"],
        "pod.readiness-gates" => {
            &["spec.readinessGates", "status.conditions.type", "status.conditions.status"]
        }
        "spec.selector" => &["spec.selector"],
        "template.containers" => &["spec.template.spec.containers.name"],
        "template.images" => &["spec.template.spec.containers.image"],
        _ => return None,
    })
}

impl Parts {
    /// What the rows of `kind` are made of.
    pub(super) fn of_row(kind: &Kind) -> Parts {
        let mut parts = Parts::Fields(Vec::new());
        // The columns of a kind that is stored in another form speak of that form.
        if kinds::stored_as(kind).is_some() || !kind.columns.iter().all(|column| parts.add_column(column)) {
            return Parts::All;
        }
        parts
    }

    /// Whether it is known what the column reads.
    fn add_column(&mut self, column: &Column) -> bool {
        match &column.cell {
            Cell::Name | Cell::Age => {}
            Cell::Path(path) => self.add(path),
            Cell::JsonPath(_) => return false,
            Cell::Computed(name) => match read_by(name) {
                Some(paths) => paths.iter().for_each(|path| self.add(path)),
                None => return false,
            },
        }
        true
    }

    fn add(&mut self, path: &str) {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let Parts::Fields(fields) = self else { return };
        let at = fields.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            fields.push((first.into(), Parts::Fields(Vec::new())));
            fields.len() - 1
        });
        match rest {
            "" => fields[at].1 = Parts::All,
            "*" => fields[at].1 = Parts::Keys,
            rest => fields[at].1.add(rest),
        }
    }

    /// What is read of a field; none if it is passed over.
    pub(super) fn of(&self, field: &str) -> Option<&Parts> {
        match self {
            Parts::All => Some(self),
            Parts::Fields(fields) => fields.iter().find(|(name, _)| name == field).map(|(_, parts)| parts),
            Parts::Keys => None,
        }
    }

    /// Whether any other field is read.
    pub(super) fn beside(&self, field: &str) -> bool {
        match self {
            Parts::Fields(fields) => fields.iter().any(|(name, _)| name != field),
            Parts::All | Parts::Keys => true,
        }
    }

    /// Whether no other field is read.
    pub(super) fn are_only(&self, field: &str) -> bool {
        matches!(self, Parts::Fields(_)) && !self.beside(field)
    }

    /// These parts of the value that comes next.
    pub(super) fn read<'de, D: Deserializer<'de>>(&self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }
}

impl<'de> DeserializeSeed<'de> for &Parts {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self {
            Parts::All => serde::Deserialize::deserialize(from),
            _ => from.deserialize_any(self),
        }
    }
}

/// A field's name, without a copy where it is not wanted.
struct Name<'p>(&'p Parts);

impl<'de, 'p> DeserializeSeed<'de> for Name<'p> {
    type Value = Option<(String, Option<&'p Parts>)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'p> {
    type Value = Option<(String, Option<&'p Parts>)>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let parts = self.0.of(name);
        let wanted = parts.is_some() || matches!(self.0, Parts::Keys);
        Ok(wanted.then(|| (name.to_string(), parts)))
    }
}

impl<'de> Visitor<'de> for &Parts {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(field) = map.next_key_seed(Name(self))? {
            let value = match &field {
                Some((_, Some(parts))) => map.next_value_seed(*parts)?,
                _ => map.next_value::<IgnoredAny>().map(|_| Value::Null)?,
            };
            fields.extend(field.map(|(name, _)| (name, value)));
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    // No map where one was expected: nothing of it is a part.

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Null)
    }
}
