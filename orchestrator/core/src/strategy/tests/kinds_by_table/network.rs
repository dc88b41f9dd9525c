//! Ingresses, policies and addresses.

use super::*;

#[test]
fn ingresses() {
    const PATH: &str = "spec.rules[0].http.paths[0]";
    let at = |rest: &str| format!("{PATH}.{rest}");
    refused(
        "Ingress",
        &[
            (
                "/spec/rules",
                json!([]),
                "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified",
            ),
            (
                "/spec/rules/0/host",
                json!("1.2.3.4"),
                "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
            ),
            ("/spec/rules/0/host", json!("a.*.com"), "a wildcard DNS-1123 subdomain must start with '*.'"),
            ("/spec/rules/0/http/paths", json!([]), "spec.rules[0].http.paths: Required value"),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("x"),
                &at("path: Invalid value: \"x\": must be an absolute path"),
            ),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("/a//b"),
                &at("path: Invalid value: \"/a//b\": must not contain '//'"),
            ),
            (
                "/spec/rules/0/http/paths/0/path",
                json!("/a/.."),
                &at("path: Invalid value: \"/a/..\": cannot end with '/..'"),
            ),
            (
                "/spec/rules/0/http/paths/0/pathType",
                json!(null),
                &at("pathType: Required value: pathType must be specified"),
            ),
            (
                "/spec/rules/0/http/paths/0/pathType",
                json!("Regex"),
                &at("pathType: Unsupported value: \"Regex\""),
            ),
            (
                "/spec/rules/0/http/paths/0/backend",
                json!({}),
                &at("backend: Invalid value: \"\": resource or service backend is required"),
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/name",
                json!("A"),
                &at("backend.service.name: Invalid value: \"A\": a DNS-1035 label must"),
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port",
                json!({}),
                &at("backend: Required value: port name or number is required"),
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port/number",
                json!(70000),
                &at(
                    "backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive",
                ),
            ),
            (
                "/spec/rules/0/http/paths/0/backend/service/port/name",
                json!("http"),
                "cannot set both port name & port number",
            ),
            ("/spec/ingressClassName", json!("A B"), "spec.ingressClassName: Invalid value: \"A B\""),
            ("/spec/tls", json!([{"hosts": ["UP"]}]), "spec.tls[0].hosts[0]: Invalid value: \"UP\""),
        ],
    );
    refused(
        "IngressClass",
        &[
            (
                "/spec/controller",
                json!("x"),
                "spec.controller: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (
                "/spec/parameters",
                json!({"kind": "K", "name": "n", "scope": "Namespace"}),
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ),
            (
                "/spec/parameters",
                json!({"kind": "K", "name": "n", "namespace": "d"}),
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ),
        ],
    );
    unchangeable(
        "IngressClass",
        &[(
            "/spec/controller",
            json!("example.com/other"),
            "spec.controller: Invalid value: \"example.com/other\": field is immutable",
        )],
    );
}

#[test]
fn network_policies_and_addresses() {
    let ingress = |rule: Value| json!([rule]);
    refused(
        "NetworkPolicy",
        &[
            (
                "/spec/podSelector",
                json!({"matchLabels": {"a b": "c"}}),
                "spec.podSelector.matchLabels: Invalid value: \"a b\"",
            ),
            (
                "/spec/ingress",
                ingress(json!({"ports": [{"port": 0}]})),
                "spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                "/spec/ingress",
                ingress(json!({"ports": [{"endPort": 9}]})),
                "spec.ingress[0].ports[0].endPort: Invalid value: 9: may not be specified when `port` is not specified",
            ),
            (
                "/spec/ingress",
                ingress(json!({"ports": [{"port": 80, "endPort": 9}]})),
                "endPort: Invalid value: 9: must be greater than or equal to `port`",
            ),
            (
                "/spec/ingress",
                ingress(json!({"from": [{}]})),
                "spec.ingress[0].from[0]: Required value: must specify a peer",
            ),
            (
                "/spec/ingress",
                ingress(json!({"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]})),
                "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (
                "/spec/ingress",
                ingress(json!({"from": [{"ipBlock": {"cidr": "ten"}}]})),
                "ipBlock.cidr: Invalid value: \"ten\": must be a valid CIDR value",
            ),
            (
                "/spec/ingress",
                ingress(json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]})),
                "ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
            ),
            ("/spec/policyTypes", json!(["Both"]), "spec.policyTypes[0]: Unsupported value: \"Both\""),
        ],
    );
    refused(
        "IPAddress",
        &[
            ("/metadata/name", json!("x"), "must be a valid IP address"),
            ("/spec/parentRef", json!({}), "spec.parentRef.resource: Required value"),
        ],
    );
    refused(
        "ServiceCIDR",
        &[
            ("/spec/cidrs", json!([]), "spec.cidrs: Required value: at least one CIDR required"),
            ("/spec/cidrs", json!(["x"]), "spec.cidrs[0]: Invalid value: \"x\""),
        ],
    );
    unchangeable(
        "ServiceCIDR",
        &[(
            "/spec/cidrs",
            json!(["10.2.0.0/16"]),
            "spec.cidrs: Invalid value: [\"10.2.0.0/16\"]: field is immutable",
        )],
    );
}

#[test]
fn services() {
    refused(
        "Service",
        &[
            ("/spec/ports", json!([]), "spec.ports: Required value"),
            (
                "/spec/ports/0/port",
                json!(0),
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            ("/spec/type", json!("Inside"), "spec.type: Unsupported value: \"Inside\""),
            (
                "/spec/clusterIP",
                json!("here"),
                "spec.clusterIPs[0]: Invalid value: \"here\": must be a valid IP address",
            ),
            ("/spec/selector", json!({"a b": "c"}), "spec.selector: Invalid value: \"a b\""),
            (
                "/spec/externalTrafficPolicy",
                json!("Local"),
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ),
            (
                "/spec/healthCheckNodePort",
                json!(31000),
                "spec.healthCheckNodePort: Invalid value: 31000: may only be set when `type` is 'LoadBalancer'",
            ),
            (
                "/spec/loadBalancerClass",
                json!("a.io/b"),
                "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ),
            (
                "/spec/allocateLoadBalancerNodePorts",
                json!(true),
                "spec.allocateLoadBalancerNodePorts: Forbidden",
            ),
            (
                "/spec/ports/0/nodePort",
                json!(31000),
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
            ("/spec/sessionAffinity", json!("Always"), "spec.sessionAffinity: Unsupported value: \"Always\""),
            (
                "/metadata/name",
                json!("1st"),
                "metadata.name: Invalid value: \"1st\": a DNS-1035 label must consist",
            ),
        ],
    );
    let balanced = create(with(minimal("Service"), "/spec/type", json!("LoadBalancer"))).unwrap();
    assert_eq!(balanced["spec"]["externalTrafficPolicy"], "Cluster");
    let inside = update(&balanced, |service| service["spec"]["type"] = json!("ClusterIP")).unwrap();
    assert!(
        inside["spec"]["externalTrafficPolicy"].is_null()
            && inside["spec"]["allocateLoadBalancerNodePorts"].is_null()
    );
}
