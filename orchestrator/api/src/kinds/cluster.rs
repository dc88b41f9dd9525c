//! Groups of few kinds, about the cluster itself.

use super::*;

pub(super) fn rows() -> Vec<Kind> {
    vec![
        Kind {
            columns: vec![
                NAME,
                col("AddressType", path("addressType")),
                col("Ports", Cell::Computed("endpointslice.ports")),
                col("Endpoints", Cell::Computed("endpointslice.endpoints")),
                AGE,
            ],
            ..row("discovery.k8s.io", "EndpointSlice", "endpointslices", "endpointslice")
        },
        Kind {
            columns: vec![NAME, col("Holder", path("spec.holderIdentity")), AGE],
            ..row("coordination.k8s.io", "Lease", "leases", "lease")
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
            ..row(
                "certificates.k8s.io",
                "CertificateSigningRequest",
                "certificatesigningrequests",
                "certificatesigningrequest",
            )
        },
    ]
}
