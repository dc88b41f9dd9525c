//! `networking.k8s.io` and `discovery.k8s.io`.

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
            ..row("discovery.k8s.io", "EndpointSlice", "endpointslices")
        },
        Kind {
            short_names: texts!("ing"),
            subresources: vec![Subresource::Status],
            columns: vec![
                NAME,
                col("Class", Cell::Computed("ingress.class")),
                col("Hosts", Cell::Computed("ingress.hosts")),
                col("Address", Cell::Computed("ingress.address")),
                col("Ports", Cell::Computed("ingress.ports")),
                AGE,
            ],
            acted_on: false,
            ..row("networking.k8s.io", "Ingress", "ingresses")
        },
        Kind {
            scope: Scope::Cluster,
            columns: vec![
                NAME,
                col("Controller", path("spec.controller")),
                col("Parameters", Cell::Computed("ingressclass.parameters")),
                AGE,
            ],
            acted_on: false,
            ..row("networking.k8s.io", "IngressClass", "ingressclasses")
        },
        Kind {
            short_names: texts!("netpol"),
            columns: vec![NAME, col("Pod-Selector", Cell::Computed("networkpolicy.selector")), AGE],
            acted_on: false,
            ..row("networking.k8s.io", "NetworkPolicy", "networkpolicies")
        },
        Kind {
            scope: Scope::Cluster,
            short_names: texts!("ip"),
            columns: vec![NAME, col("ParentRef", Cell::Computed("ipaddress.parent"))],
            acted_on: false,
            ..row("networking.k8s.io", "IPAddress", "ipaddresses")
        },
        Kind {
            scope: Scope::Cluster,
            subresources: vec![Subresource::Status],
            columns: vec![NAME, col("CIDRs", Cell::Computed("servicecidr.cidrs")), AGE],
            acted_on: false,
            ..row("networking.k8s.io", "ServiceCIDR", "servicecidrs")
        },
    ]
}
