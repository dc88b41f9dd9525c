//! Groups about the API itself: admission, flow control and registration.

use super::*;
use crate::well_known::ADMISSION_GROUP;

const FLOW: &str = "flowcontrol.apiserver.k8s.io";

/// What admission is configured by.
fn admission(kind: &'static str, plural: &'static str, columns: Vec<Column>) -> Kind {
    let categories = texts!("api-extensions");
    Kind { scope: Scope::Cluster, categories, columns, ..row(ADMISSION_GROUP, kind, plural) }
}

/// A policy; `count` heads the column of how much it does, which `cell` counts.
fn policy(count: &'static str, cell: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    let counted = typed(count, "integer", Cell::Computed(cell));
    let columns = vec![NAME, counted, col("ParamKind", Cell::Computed("policy.param-kind")), AGE];
    admission(kind, plural, columns)
}

fn binding(kind: &'static str, plural: &'static str) -> Kind {
    let of = col("PolicyName", path("spec.policyName"));
    admission(kind, plural, vec![NAME, of, col("ParamRef", Cell::Computed("policy.param-ref")), AGE])
}

fn webhooks(kind: &'static str, plural: &'static str) -> Kind {
    let counted = typed("Webhooks", "integer", Cell::Computed("policy.webhooks"));
    admission(kind, plural, vec![NAME, counted, AGE])
}

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("crd", "crds"),
            categories: texts!("api-extensions"),
            subresources: vec![Subresource::Status],
            columns: vec![NAME, typed("Created At", "date", path("metadata.creationTimestamp"))],
            ..row("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions")
        },
        policy("Mutations", "policy.mutations", "MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
        binding("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
        webhooks("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        Kind {
            subresources: vec![Subresource::Status],
            ..policy(
                "Validations",
                "policy.validations",
                "ValidatingAdmissionPolicy",
                "validatingadmissionpolicies",
            )
        },
        binding("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
        webhooks("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        Kind {
            scope: Scope::Cluster,
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("PriorityLevel", path("spec.priorityLevelConfiguration.name")),
                number("MatchingPrecedence", "spec.matchingPrecedence"),
                col("DistinguisherMethod", Cell::Computed("flow.distinguisher")),
                AGE,
                col("MissingPL", Cell::Computed("flow.missing")),
            ],
            acted_on: false,
            ..row(FLOW, "FlowSchema", "flowschemas")
        },
        Kind {
            scope: Scope::Cluster,
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Type", path("spec.type")),
                col("NominalConcurrencyShares", Cell::Computed("level.shares")),
                col("Queues", Cell::Computed("level.queues")),
                col("HandSize", Cell::Computed("level.hand")),
                col("QueueLengthLimit", Cell::Computed("level.length")),
                AGE,
            ],
            acted_on: false,
            ..row(FLOW, "PriorityLevelConfiguration", "prioritylevelconfigurations")
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Service", Cell::Computed("apiservice.service")),
                col("Available", Cell::Computed("apiservice.available")),
                AGE,
            ],
            ..row("apiregistration.k8s.io", "APIService", "apiservices")
        },
    ]
}
