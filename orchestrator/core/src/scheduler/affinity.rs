//! Node selectors and node affinity. Rule: Kubernetes, "Assigning Pods to Nodes".

use peapod_api::object::labels;
use peapod_api::selector::LabelSelector;
use serde_json::Value;
use std::collections::BTreeMap;

/// One term of a node selector: all its expressions over labels and over the node's name.
#[derive(Clone, Debug)]
struct Term {
    labels: Option<LabelSelector>,
    fields: Option<LabelSelector>,
}

impl Term {
    fn read(value: &Value) -> Term {
        let part = |key: &str| LabelSelector::from_expressions(&value[key]);
        Term { labels: part("matchExpressions"), fields: part("matchFields") }
    }

    /// A term without expressions matches nothing, and so does one with an operator that does not exist.
    fn matches(&self, node_name: &str, node_labels: &BTreeMap<String, String>) -> bool {
        let (Some(by_label), Some(by_field)) = (&self.labels, &self.fields) else { return false };
        let name = BTreeMap::from([("metadata.name".to_string(), node_name.to_string())]);
        (!by_label.is_empty() || !by_field.is_empty())
            && by_label.matches(node_labels)
            && by_field.matches(&name)
    }
}

/// What a pod wants of a node's labels.
#[derive(Clone, Debug, Default)]
pub struct NodeAffinity {
    selector: LabelSelector,
    required: Option<Vec<Term>>,
    preferred: Vec<(i64, Term)>,
}

impl NodeAffinity {
    /// Reads `nodeSelector` and `affinity.nodeAffinity` of a pod spec.
    pub fn read(spec: &Value) -> NodeAffinity {
        let affinity = &spec["affinity"]["nodeAffinity"];
        let required =
            affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].as_array();
        let preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"].as_array();
        let weighted = |p: &Value| (p["weight"].as_i64().unwrap_or(0), Term::read(&p["preference"]));
        NodeAffinity {
            selector: LabelSelector::from_map(&labels(&spec["nodeSelector"])),
            required: required.map(|terms| terms.iter().map(Term::read).collect()),
            preferred: preferred.into_iter().flatten().map(weighted).collect(),
        }
    }

    /// Whether the node is allowed.
    pub fn allows(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let any = |terms: &Vec<Term>| terms.iter().any(|term| term.matches(name, labels));
        self.selector.matches(labels) && self.required.as_ref().is_none_or(any)
    }

    /// The sum of the weights of the preferences that the node meets.
    pub fn preference(&self, name: &str, labels: &BTreeMap<String, String>) -> i64 {
        self.preferred.iter().filter(|(_, term)| term.matches(name, labels)).map(|(weight, _)| weight).sum()
    }
}
