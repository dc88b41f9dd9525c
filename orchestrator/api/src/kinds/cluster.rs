//! Groups of few kinds, about the cluster itself.

use super::*;

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            columns: vec![NAME, col("Holder", path("spec.holderIdentity")), AGE],
            ..row("coordination.k8s.io", "Lease", "leases")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("csr"),
            subresources: vec![Subresource::Status, Subresource::Approval],
            fields: texts!("spec.signerName"),
            columns: vec![
                NAME,
                AGE,
                col("SignerName", path("spec.signerName")),
                col("Requestor", path("spec.username")),
                col("RequestedDuration", Cell::Computed("csr.duration")),
                col("Condition", Cell::Computed("csr.condition")),
            ],
            ..row("certificates.k8s.io", "CertificateSigningRequest", "certificatesigningrequests")
        },
        Kind {
            short_names: texts!("pdb"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Min Available", Cell::Computed("budget.min")),
                col("Max Unavailable", Cell::Computed("budget.max")),
                number("Allowed Disruptions", "status.disruptionsAllowed"),
                AGE,
            ],
            ..row("policy", "PodDisruptionBudget", "poddisruptionbudgets")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("pc"),
            columns: vec![
                NAME,
                number("Value", "value"),
                typed("Global-Default", "boolean", path("globalDefault")),
                AGE,
                col("PreemptionPolicy", path("preemptionPolicy")),
            ],
            ..row("scheduling.k8s.io", "PriorityClass", "priorityclasses")
        },
        Kind {
            scope: Scope::Cluster,
            columns: vec![NAME, col("Handler", path("handler")), AGE],
            acted_on: false,
            ..row("node.k8s.io", "RuntimeClass", "runtimeclasses")
        },
    ]
}
