//! Groups about the API itself: admission, flow control and registration.

use super::*;

const ADMISSION: &str = "admissionregistration.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("crd", "crds"),
            categories: texts!("api-extensions"),
            subresources: vec![Subresource::Status],
            columns: vec![NAME, typed("Created At", "date", path("metadata.creationTimestamp"))],
            ..row(
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                "customresourcedefinitions",
                "customresourcedefinition",
            )
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            columns: vec![
                NAME,
                typed("Mutations", "integer", Cell::Computed("policy.mutations")),
                col("ParamKind", Cell::Computed("policy.param-kind")),
                AGE,
            ],
            ..row(
                ADMISSION,
                "MutatingAdmissionPolicy",
                "mutatingadmissionpolicies",
                "mutatingadmissionpolicy",
            )
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            columns: vec![
                NAME,
                col("PolicyName", path("spec.policyName")),
                col("ParamRef", Cell::Computed("policy.param-ref")),
                AGE,
            ],
            ..row(
                ADMISSION,
                "MutatingAdmissionPolicyBinding",
                "mutatingadmissionpolicybindings",
                "mutatingadmissionpolicybinding",
            )
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            columns: vec![NAME, typed("Webhooks", "integer", Cell::Computed("policy.webhooks")), AGE],
            ..row(
                ADMISSION,
                "MutatingWebhookConfiguration",
                "mutatingwebhookconfigurations",
                "mutatingwebhookconfiguration",
            )
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                typed("Validations", "integer", Cell::Computed("policy.validations")),
                col("ParamKind", Cell::Computed("policy.param-kind")),
                AGE,
            ],
            ..row(
                ADMISSION,
                "ValidatingAdmissionPolicy",
                "validatingadmissionpolicies",
                "validatingadmissionpolicy",
            )
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            columns: vec![
                NAME,
                col("PolicyName", path("spec.policyName")),
                col("ParamRef", Cell::Computed("policy.param-ref")),
                AGE,
            ],
            ..row(
                ADMISSION,
                "ValidatingAdmissionPolicyBinding",
                "validatingadmissionpolicybindings",
                "validatingadmissionpolicybinding",
            )
        },
        Kind {
            scope: Scope::Cluster,
            categories: texts!("api-extensions"),
            columns: vec![NAME, typed("Webhooks", "integer", Cell::Computed("policy.webhooks")), AGE],
            ..row(
                ADMISSION,
                "ValidatingWebhookConfiguration",
                "validatingwebhookconfigurations",
                "validatingwebhookconfiguration",
            )
        },
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
            ..row(FLOW, "FlowSchema", "flowschemas", "flowschema")
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
            ..row(
                FLOW,
                "PriorityLevelConfiguration",
                "prioritylevelconfigurations",
                "prioritylevelconfiguration",
            )
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
            ..row("apiregistration.k8s.io", "APIService", "apiservices", "apiservice")
        },
    ]
}
