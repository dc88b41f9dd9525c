//! Policy rules: what one allows, and what it takes to grant it. Rule: Kubernetes, "Using RBAC Authorization".

use crate::auth::Attributes;
use crate::validation::{items, text};
use serde_json::{Value, json};

type Names = Box<[Box<str>]>;

/// Everything of its kind.
const ALL: &str = "*";

/// One `PolicyRule`, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    groups: Names,
    resources: Names,
    names: Names,
    paths: Names,
    verbs: Names,
}

fn names(value: &Value) -> Names {
    items(value).map(|item| text(item).into()).collect()
}

fn has(names: &[Box<str>], wanted: &str) -> bool {
    names.iter().any(|name| &**name == ALL || &**name == wanted)
}

fn is(names: &[Box<str>], wanted: &[Box<str>]) -> bool {
    wanted.iter().all(|one| has(names, one))
}

impl Rule {
    /// Reads `rules` of a Role or ClusterRole.
    pub fn read_all(rules: &Value) -> Vec<Rule> {
        items(rules).map(Rule::read).collect()
    }

    fn read(rule: &Value) -> Rule {
        Rule {
            groups: names(&rule["apiGroups"]),
            resources: names(&rule["resources"]),
            names: names(&rule["resourceNames"]),
            paths: names(&rule["nonResourceURLs"]),
            verbs: names(&rule["verbs"]),
        }
    }

    /// Everything that can be asked of resources.
    pub fn everything() -> [Rule; 2] {
        let all = || -> Names { Box::new([ALL.into()]) };
        let of_resources = Rule { groups: all(), resources: all(), verbs: all(), ..Rule::default() };
        [of_resources, Rule { paths: all(), verbs: all(), ..Rule::default() }]
    }

    /// Whether the rule allows what is asked of a resource.
    pub fn allows(&self, asked: &Attributes<'_>) -> bool {
        has(&self.verbs, asked.verb)
            && has(&self.groups, asked.group)
            && self.resources.iter().any(|own| names_resource(own, asked.resource, asked.subresource))
            && (self.names.is_empty() || self.names.iter().any(|name| **name == *asked.name))
    }

    /// Whether the rule allows `verb` of a path that names no resource.
    pub fn allows_path(&self, verb: &str, path: &str) -> bool {
        has(&self.verbs, verb) && self.paths.iter().any(|own| covers_path(own, path))
    }

    /// The rule as single permissions: one verb of one resource or path each.
    pub fn single(&self) -> Vec<Rule> {
        let one = |name: &str| -> Names { Box::new([name.into()]) };
        let named: Vec<Names> = if self.names.is_empty() {
            vec![Names::default()]
        } else {
            self.names.iter().map(|n| one(n)).collect()
        };
        let mut all = Vec::new();
        for verb in &self.verbs {
            for group in &self.groups {
                for resource in &self.resources {
                    all.extend(named.iter().map(|names| Rule {
                        groups: one(group),
                        resources: one(resource),
                        names: names.clone(),
                        verbs: one(verb),
                        ..Rule::default()
                    }));
                }
            }
            all.extend(self.paths.iter().map(|path| Rule {
                paths: one(path),
                verbs: one(verb),
                ..Rule::default()
            }));
        }
        all
    }

    /// Whether who holds this rule holds `single`, one of [`Rule::single`], too.
    pub fn covers(&self, single: &Rule) -> bool {
        let resource = |wanted: &str| {
            let (resource, part) = wanted.split_once('/').unwrap_or((wanted, ""));
            self.resources.iter().any(|own| &**own == wanted || names_resource(own, resource, part))
        };
        is(&self.verbs, &single.verbs)
            && is(&self.groups, &single.groups)
            && single.resources.iter().all(|wanted| resource(wanted))
            && single.paths.iter().all(|wanted| self.paths.iter().any(|own| covers_path(own, wanted)))
            && (self.names.is_empty()
                || !single.names.is_empty() && single.names.iter().all(|n| self.names.contains(n)))
    }

    /// Adds the verbs of `other` if they are of the same things. Returns whether they are.
    pub fn join(&mut self, other: &Rule) -> bool {
        let same = self.groups == other.groups
            && self.resources == other.resources
            && self.names == other.names
            && self.paths == other.paths
            && self.paths.is_empty();
        if same {
            self.verbs = self.verbs.iter().chain(&other.verbs).cloned().collect();
        }
        same
    }

    /// As the refusal of an escalation lists it.
    pub fn describe(&self) -> String {
        let quote =
            |names: &Names| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" ");
        let fields = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.paths),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let fields = fields.iter().filter(|(_, names)| !names.is_empty());
        let fields: Vec<String> =
            fields.map(|(field, names)| format!("{field}:[{}]", quote(names))).collect();
        format!("{{{}}}", fields.join(", "))
    }

    /// As a `ResourceRule` of a rules review; none for a rule about paths.
    pub fn resource_rule(&self) -> Option<Value> {
        let mut rule = json!({"verbs": self.verbs, "apiGroups": self.groups, "resources": self.resources});
        if !self.names.is_empty() {
            rule["resourceNames"] = json!(self.names);
        }
        (!self.resources.is_empty()).then_some(rule)
    }

    /// As a `NonResourceRule`; none for a rule about resources.
    pub fn path_rule(&self) -> Option<Value> {
        (!self.paths.is_empty()).then(|| json!({"verbs": self.verbs, "nonResourceURLs": self.paths}))
    }
}

/// Whether `own`, e.g. `pods`, `pods/log`, `*`, `*/scale`, names the resource and its part.
fn names_resource(own: &str, resource: &str, part: &str) -> bool {
    match own.split_once('/') {
        _ if own == ALL => true,
        None => own == resource && part.is_empty(),
        Some((own, own_part)) => own_part == part && !part.is_empty() && (own == resource || own == ALL),
    }
}

/// Whether `own` is the path, or one that it begins with if `own` ends with a star.
fn covers_path(own: &str, path: &str) -> bool {
    own == path || own.strip_suffix('*').is_some_and(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(value: Value) -> Rule {
        Rule::read(&value)
    }

    #[test]
    fn a_rule_allows_what_it_names() {
        let asked = |verb, group, resource, subresource, name| Attributes {
            verb,
            group,
            resource,
            subresource,
            name,
            ..Attributes::default()
        };
        let get =
            |resources: &[&str]| rule(json!({"verbs": ["get"], "apiGroups": [""], "resources": resources}));
        for (resources, resource, part, allowed) in [
            (&["pods"][..], "pods", "", true),
            (&["pods"], "pods", "log", false),
            (&["pods/log"], "pods", "log", true),
            (&["pods/log"], "pods", "", false),
            (&["*"], "pods", "log", true),
            (&["*/scale"], "deployments", "scale", true),
            (&["*/scale"], "deployments", "", false),
            (&["pods/*"], "pods", "log", false),
        ] {
            assert_eq!(
                get(resources).allows(&asked("get", "", resource, part, "")),
                allowed,
                "{resources:?} {part}"
            );
        }
        assert!(!get(&["pods"]).allows(&asked("list", "", "pods", "", "")));
        assert!(!get(&["pods"]).allows(&asked("get", "apps", "pods", "", "")));
        let named =
            rule(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["pods"], "resourceNames": ["a"]}));
        assert!(named.allows(&asked("get", "x", "pods", "", "a")));
        assert!(
            !named.allows(&asked("get", "x", "pods", "", "b"))
                && !named.allows(&asked("list", "", "pods", "", ""))
        );
    }

    #[test]
    fn paths_may_end_with_a_star() {
        let own = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]}));
        for (path, allowed) in [
            ("/healthz", true),
            ("/healthz/", false),
            ("/api/v1", true),
            ("/api", false),
            ("/metrics", false),
        ] {
            assert_eq!(own.allows_path("get", path), allowed, "{path}");
        }
        assert!(!own.allows_path("post", "/healthz"));
        assert!(Rule::everything()[1].allows_path("post", "/x"));
    }

    #[test]
    fn a_permission_is_held_if_a_rule_covers_it() {
        let all = &Rule::everything()[0];
        let read =
            rule(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "*/scale"]}));
        let one = |value| rule(value).single().remove(0);
        let pods = |names: &[&str]| {
            one(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": names}))
        };
        assert!(read.covers(&pods(&[])) && read.covers(&pods(&["a"])) && all.covers(&pods(&[])));
        assert!(!pods(&["a"]).covers(&pods(&[])) && pods(&["a"]).covers(&pods(&["a"])));
        assert!(read.covers(&one(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["x/scale"]}))));
        assert!(!read.covers(&one(json!({"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}))));
        assert!(!read.covers(&one(json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}))));
        assert_eq!(read.single().len(), 4);
        assert_eq!(
            read.describe(),
            r#"{APIGroups:[""], Resources:["pods" "*/scale"], Verbs:["get" "list"]}"#
        );
    }
}
