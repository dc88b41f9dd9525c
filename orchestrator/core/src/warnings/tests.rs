//! What is said of objects that are accepted.

use super::*;
use peapod_api::kinds;
use serde_json::json;

fn said(group: &str, plural: &str, object: Value) -> Vec<String> {
    of(kinds::lookup(group, plural).unwrap(), &object, None)
}

fn pod(spec: Value) -> Vec<String> {
    said("", "pods", json!({"metadata": {"name": "p"}, "spec": spec}))
}

#[test]
fn every_row_is_of_a_kind() {
    for row in ROWS {
        assert!(kinds::lookup(row.group, row.plural).is_some(), "{} {}", row.group, row.plural);
    }
}

#[test]
fn pods_are_told_of_what_means_nothing() {
    for (spec, expected) in [
        (json!({"nodeSelector": {"kubernetes.io/os": "linux"}, "terminationGracePeriodSeconds": 0}), &[][..]),
        (
            json!({"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}}),
            &[
                "spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use \"kubernetes.io/arch\" instead",
            ],
        ),
        (
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
                [{"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}]}}}}),
            &[
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].\
               matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use \"kubernetes.io/os\" instead",
            ],
        ),
        (
            json!({"topologySpreadConstraints": [{"topologyKey": "failure-domain.beta.kubernetes.io/zone"}]}),
            &[
                "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated \
                 since v1.17; use \"topology.kubernetes.io/zone\" instead",
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}}),
            &[
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.\
               labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            json!({"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}], "imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]}),
            &[
                "spec.hostAliases[1].ip: duplicate ip \"10.0.0.1\"",
                "spec.imagePullSecrets[1].name: duplicate name \"a\"",
                "spec.imagePullSecrets[2].name: invalid empty name \"\"",
            ],
        ),
        (
            json!({"terminationGracePeriodSeconds": -1}),
            &[
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            ],
        ),
    ] {
        assert_eq!(pod(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn containers_are_told_of_what_hides_what() {
    let hides = "hides previous definition of \"A\", which may be dropped when using apply";
    let container = |container: Value| pod(json!({"containers": [container]}));
    for (second, warned) in [
        (json!({"name": "A", "value": "$(A)2"}), false),
        (json!({"name": "A", "value": "$(A)"}), true),
        (json!({"name": "A", "value": "2"}), true),
        (json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}), true),
        (json!({"name": "B", "value": "2"}), false),
    ] {
        let expected = if warned { vec![format!("spec.containers[0].env[1]: {hides}")] } else { vec![] };
        let found = container(json!({"name": "c", "env": [{"name": "A", "value": "1"}, second]}));
        assert_eq!(found, expected, "{second}");
    }
    assert_eq!(
        container(json!({"name": "c", "resources": {"limits": {"memory": "100m"}}})),
        [
            "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer"
        ]
    );
    let ports = |ports: Value| container(json!({"name": "c", "ports": ports}));
    let port =
        |host: i64, ip: &str| json!({"containerPort": 80, "protocol": "TCP", "hostPort": host, "hostIP": ip});
    let with = "port definition with spec.containers[0].ports[0]";
    for (one, other, how) in [
        (port(0, ""), port(0, ""), Some("duplicate")),
        (port(1, ""), port(0, ""), Some("overlapping")),
        (port(1, ""), port(1, "10.0.0.1"), Some("dangerously ambiguous")),
        (port(1, ""), port(2, ""), None),
    ] {
        let expected: Vec<_> =
            how.map(|how| format!("spec.containers[0].ports[1]: {how} {with}")).into_iter().collect();
        assert_eq!(ports(json!([one, other])), expected);
    }
    assert_eq!(
        ports(json!([port(0, "10.0.0.1")])),
        [
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:10.0.0.1}"
        ]
    );
}

#[test]
fn files_that_are_in_each_others_way_are_told() {
    let items =
        |paths: &[&str]| -> Value { paths.iter().map(|path| json!({"key": "k", "path": path})).collect() };
    let volume = |source: &str, value: Value| pod(json!({"volumes": [{"name": "v", source: value}]}));
    let config = |paths: &[&str]| volume("configMap", json!({"name": "m", "items": items(paths)}));
    assert_eq!(config(&["a", "b/c", "b/d"]), [""; 0]);
    let why = "volume \"v\" (ConfigMap \"m\"): overlapping paths";
    assert_eq!(config(&["a", "a"]), [format!("{why}: \"a\" with \"a\"")]);
    assert_eq!(config(&["a", "a/b"]), [format!("{why}: \"a/b\" with \"a\"")]);
    assert_eq!(config(&["a/b", "a/"]), [format!("{why}: \"a\" with \"a/b\"")]);
    assert_eq!(
        volume(
            "projected",
            json!({"sources": [{}, {"configMap": {"name": "m", "items": items(&["t"])}},
            {"serviceAccountToken": {"path": "t"}}]})
        ),
        [
            "volume \"v\" (Projected) has no sources provided",
            "volume \"v\" (Projected ServiceAccountToken): overlapping paths: \"t\" with \"t\"",
        ]
    );
}

#[test]
fn templates_are_told_when_they_change() {
    let kind = kinds::lookup("apps", "deployments").unwrap();
    let web = |name: &str, generation: i64| {
        json!({"metadata": {"name": name, "generation": generation}, "spec": {"template": {
            "metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/a": "x",
                "scheduler.alpha.kubernetes.io/critical-pod": ""}},
            "spec": {"containers": [{"name": "a"}]}}}})
    };
    let at = "spec.template.metadata.annotations";
    let expected = [
        format!(
            "{at}[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \"priorityClassName\" field instead"
        ),
        format!(
            "{at}[container.apparmor.security.beta.kubernetes.io/a]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
        ),
    ];
    assert_eq!(of(kind, &web("web", 1), None), expected);
    assert_eq!(of(kind, &web("web", 2), Some(&web("web", 1))), expected);
    assert_eq!(of(kind, &web("web", 2), Some(&web("web", 2))), [""; 0]);
    let dotted = of(kind, &web("my.web", 1), None).remove(0);
    println!("{dotted}");
    assert!(dotted.starts_with(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
         recommended: [must not contain dots]"
    ));
    let job = json!({"metadata": {"name": "j"}, "spec": {"completionMode": "Indexed", "completions": 200_000, "parallelism": 20_000}});
    assert!(
        said("batch", "jobs", job)[0]
            .starts_with("spec: In Indexed Jobs with a number of completions higher than 10^5")
    );
}

#[test]
fn services_and_their_addresses() {
    let service = |spec: Value| said("", "services", json!({"metadata": {"name": "s"}, "spec": spec}));
    assert_eq!(
        service(json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]})),
        [""; 0]
    );
    assert_eq!(
        service(
            json!({"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP", "externalIPs": ["10.0.0.1"],
            "loadBalancerIP": "10.0.0.1"})
        ),
        [
            "spec.loadBalancerIP is ignored for headless services",
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services",
            "spec.externalIPs is deprecated",
        ]
    );
    assert_eq!(
        service(json!({"type": "ClusterIP", "externalName": "x", "trafficDistribution": "PreferClose"})),
        [
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ]
    );
    assert_eq!(
        service(
            json!({"type": "LoadBalancer", "loadBalancerIP": "FD00::1", "loadBalancerSourceRanges": ["FD00::/8"]})
        ),
        [
            "spec.loadBalancerIP: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")",
            "spec.loadBalancerSourceRanges[0]: IPv6 CIDR value \"FD00::/8\" should be in RFC 5952 canonical format (\"fd00::/8\")",
        ]
    );
    let slice = |type_: &str, address: &str| {
        said(
            "discovery.k8s.io",
            "endpointslices",
            json!({"addressType": type_, "endpoints": [{"addresses": [address]}]}),
        )
    };
    assert_eq!(slice("FQDN", "x.io"), ["addressType: FQDN endpoints are deprecated"]);
    assert_eq!(slice("IPv6", "fd00:0::1").len(), 1);
    let mut old = json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "nginx"}}, "spec": {}});
    assert_eq!(
        said("networking.k8s.io", "ingresses", old.clone()),
        [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    );
    old["spec"]["ingressClassName"] = "nginx".into();
    assert_eq!(said("networking.k8s.io", "ingresses", old), [""; 0]);
}

#[test]
fn volumes_claims_and_classes() {
    let old = json!({"volume.beta.kubernetes.io/storage-class": "fast"});
    let deprecated = "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
                      \"storageClassName\" attribute instead";
    assert_eq!(
        said(
            "",
            "persistentvolumes",
            json!({"metadata": {"annotations": old},
            "spec": {"persistentVolumeReclaimPolicy": "Recycle", "rbd": {}}})
        ),
        [
            deprecated,
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach \
             is to use dynamic provisioning.",
            "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
        ]
    );
    assert_eq!(
        said(
            "",
            "persistentvolumeclaims",
            json!({"metadata": {"annotations": old},
            "spec": {"resources": {"requests": {"storage": "1500m"}}}})
        ),
        [
            deprecated,
            "spec.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer",
        ]
    );
    assert_eq!(
        said(
            "storage.k8s.io",
            "storageclasses",
            json!({"allowedTopologies": [{"matchLabelExpressions":
            [{"key": "failure-domain.beta.kubernetes.io/zone"}]}]})
        ),
        [
            "allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        ]
    );
    assert_eq!(
        said(
            "node.k8s.io",
            "runtimeclasses",
            json!({"scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "x"}}})
        ),
        ["scheduling.nodeSelector: deprecated since v1.14; use \"kubernetes.io/os\" instead"]
    );
    assert_eq!(
        said("", "nodes", json!({"spec": {"externalID": "x"}})),
        ["spec.externalID: this field is deprecated, and is unused by Kubernetes"]
    );
}
