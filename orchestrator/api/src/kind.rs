//! What a row of the kinds table holds.

use crate::jsonpath::JsonPath;
use std::borrow::Cow;

type Text = Cow<'static, str>;

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// Cluster-wide.
    Cluster,
}

/// The parts of an object that have a path of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subresource {
    /// The half that the system writes.
    Status,
    /// The replica count, as `autoscaling/v1 Scale`.
    Scale,
    /// POST binds a pod to a node.
    Binding,
    /// POST deletes a pod if its disruption budget allows it.
    Eviction,
    /// GET streams a container's log.
    Log,
    /// POST mints a service account's token.
    Token,
    /// The conditions that approve or deny a certificate signing request.
    Approval,
    /// PUT takes what holds a namespace from it.
    Finalize,
}

impl Subresource {
    /// As it stands in the path.
    pub fn name(self) -> &'static str {
        match self {
            Subresource::Status => "status",
            Subresource::Scale => "scale",
            Subresource::Binding => "binding",
            Subresource::Eviction => "eviction",
            Subresource::Log => "log",
            Subresource::Token => "token",
            Subresource::Approval => "approval",
            Subresource::Finalize => "finalize",
        }
    }
}

/// What becomes of the objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// They are kept.
    Stored,
    /// They are orders and questions: created, and answered, and that is all.
    Asked,
    /// They say how it is at the moment, and can only be read.
    Told,
}

/// How a cell of a Table column is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// `metadata.name`.
    Name,
    /// Time since `metadata.creationTimestamp`.
    Age,
    /// The value at a dotted path; absent gives an empty cell.
    Path(Text),
    /// The first value that a JSONPath leads to; absent gives an empty cell.
    JsonPath(JsonPath),
    /// Made by the function that `peapod_core::table` registers under this name.
    Computed(&'static str),
}

/// One column of a kind's Table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its heading, as kubectl prints it upper-cased.
    pub name: Text,
    /// OpenAPI type: `string`, `integer`, `date`...
    pub type_: Text,
    /// OpenAPI format, such as `name` or `int32`; mostly empty.
    pub format: Text,
    /// What it shows, for people; mostly empty.
    pub description: Text,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: u8,
    /// Where the cells come from.
    pub cell: Cell,
}

/// One row of the kinds table: everything that routes, discovery, storage, printing and tests derive from.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: Text,
    /// API version, e.g. `v1`.
    pub version: Text,
    /// e.g. `Deployment`.
    pub kind: Text,
    /// e.g. `deployments`.
    pub plural: Text,
    /// e.g. `deployment`.
    pub singular: Text,
    /// e.g. `deploy`.
    pub short_names: Vec<Text>,
    /// e.g. `all`.
    pub categories: Vec<Text>,
    /// Namespaced or cluster-wide.
    pub scope: Scope,
    /// Paths below an object.
    pub subresources: Vec<Subresource>,
    /// Dotted paths that field selectors may name, besides `metadata.name` and `metadata.namespace`.
    pub fields: Vec<Text>,
    /// Table columns.
    pub columns: Vec<Column>,
    /// Whether all that a cluster does about objects of this kind is done: for some, such as PodTemplates, that is nothing.
    /// Where it is not, creating one gives a warning.
    pub acted_on: bool,
    /// What everybody is told who asks for it; empty if it is not deprecated.
    pub deprecation: Text,
    /// What becomes of its objects.
    pub nature: Nature,
    /// Whether a custom resource definition makes it.
    pub custom: bool,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`: the name in errors, in RBAC's messages and in storage keys.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The resource under which its objects are stored: its own, or that of the kind of which it is another form.
    pub fn stored_resource(&self) -> String {
        crate::kinds::stored_as(self).map_or_else(|| self.resource(), Kind::resource)
    }

    /// Whether it belongs to that group and version.
    pub fn is(&self, group: &str, version: &str) -> bool {
        self.group == group && self.version == version
    }

    /// A stand-in for the row of a custom resource that nothing defines any more (`widgets.example.com`); none if
    /// `resource` names no group, as every custom resource does.
    pub fn undefined(resource: &str) -> Option<Kind> {
        let (plural, group) = resource.split_once('.')?;
        let own = |text: &str| Text::Owned(text.into());
        Some(Kind {
            group: own(group),
            version: own(""),
            kind: own(""),
            plural: own(plural),
            singular: own(""),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope: Scope::Namespaced,
            subresources: Vec::new(),
            fields: Vec::new(),
            columns: Vec::new(),
            acted_on: false,
            deprecation: own(""),
            nature: Nature::Stored,
            custom: true,
        })
    }

    /// Whether its objects are kept.
    pub fn stored(&self) -> bool {
        self.nature == Nature::Stored
    }

    /// Whether objects live in a namespace.
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether the kind has `sub`.
    pub fn has(&self, sub: Subresource) -> bool {
        self.subresources.contains(&sub)
    }
}
