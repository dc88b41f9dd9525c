//! Limits, roles and what concerns the API itself.

use super::*;

#[test]
fn limits_and_quotas() {
    let limits = |limit: Value| json!([limit]);
    refused(
        "LimitRange",
        &[
            (
                "/spec/limits",
                json!([{"type": "Pod"}, {"type": "Pod"}]),
                "spec.limits[1].type: Duplicate value: \"Pod\"",
            ),
            (
                "/spec/limits",
                limits(json!({"type": "Pod", "default": {"cpu": "1"}})),
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            ),
            (
                "/spec/limits",
                limits(json!({"type": "PersistentVolumeClaim"})),
                "spec.limits[0]: Required value: either minimum or maximum storage value is required, but neither was provided",
            ),
            (
                "/spec/limits",
                limits(json!({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}})),
                "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            ),
            (
                "/spec/limits",
                limits(json!({"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}})),
                "spec.limits[0].default[cpu]: Invalid value: \"2\": default value 2 is greater than max value 1",
            ),
            (
                "/spec/limits",
                limits(json!({"type": "Container", "defaultRequest": {"cpu": "3"}, "default": {"cpu": "1"}})),
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"3\": default request value 3 is greater than default limit value 1",
            ),
            (
                "/spec/limits",
                limits(json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "500m"}})),
                "ratio 500m is less than 1",
            ),
        ],
    );
    refused(
        "ResourceQuota",
        &[
            (
                "/spec/hard",
                json!({"apples": "1"}),
                "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource for quota",
            ),
            (
                "/spec/hard",
                json!({"pods": "-1"}),
                "spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            (
                "/spec/hard",
                json!({"pods": "500m"}),
                "spec.hard[pods]: Invalid value: \"500m\": must be an integer",
            ),
            ("/spec/scopes", json!(["BestEffort", "NotBestEffort"]), "conflicting scopes"),
        ],
    );
    unchangeable(
        "ResourceQuota",
        &[(
            "/spec/scopes",
            json!(["BestEffort"]),
            "spec.scopes: Invalid value: [\"BestEffort\"]: field is immutable",
        )],
    );
}

#[test]
fn roles_and_bindings() {
    let rule = |rule: Value| json!([rule]);
    for kind in ["Role", "ClusterRole"] {
        refused(
            kind,
            &[
                (
                    "/rules",
                    rule(json!({"apiGroups": [""], "resources": ["pods"], "verbs": []})),
                    "rules[0].verbs: Required value: verbs must contain at least one value",
                ),
                (
                    "/rules",
                    rule(json!({"resources": ["pods"], "verbs": ["get"]})),
                    "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                ),
                (
                    "/rules",
                    rule(json!({"apiGroups": [""], "verbs": ["get"]})),
                    "rules[0].resources: Required value: resource rules must supply at least one resource",
                ),
                (
                    "/rules",
                    rule(json!({"nonResourceURLs": ["/x"], "resources": ["pods"], "verbs": ["get"]})),
                    "rules cannot apply to both regular resources and non-resource URLs",
                ),
            ],
        );
    }
    refused(
        "Role",
        &[(
            "/rules",
            rule(json!({"nonResourceURLs": ["/x"], "verbs": ["get"]})),
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
        )],
    );
    refused(
        "ClusterRole",
        &[(
            "/aggregationRule",
            json!({}),
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
        )],
    );
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        refused(
            kind,
            &[
                ("/roleRef/name", json!(""), "roleRef.name: Required value"),
                (
                    "/roleRef/kind",
                    json!("Group"),
                    "roleRef.kind: Unsupported value: \"Group\": supported values: \"ClusterRole\"",
                ),
                (
                    "/roleRef/apiGroup",
                    json!("apps"),
                    "roleRef.apiGroup: Unsupported value: \"apps\": supported values: \"rbac.authorization.k8s.io\"",
                ),
                (
                    "/subjects/0/kind",
                    json!("Robot"),
                    "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
                ),
                ("/subjects/0/name", json!(""), "subjects[0].name: Required value"),
            ],
        );
        unchangeable(kind, &[("/roleRef/name", json!("edit"), "cannot change roleRef")]);
    }
    refused(
        "ClusterRoleBinding",
        &[(
            "/subjects",
            json!([{"kind": "ServiceAccount", "name": "a"}]),
            "subjects[0].namespace: Required value",
        )],
    );
    assert!(
        create(with(minimal("Role"), "/metadata/name", json!("system:x:y"))).is_ok(),
        "names of roles carry colons"
    );
}

#[test]
fn the_apis_own_objects() {
    let unlabelled = "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots";
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        refused(
            kind,
            &[
                ("/webhooks/0/name", json!("a.b"), unlabelled),
                (
                    "/webhooks/0/clientConfig",
                    json!({}),
                    "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
                ),
                (
                    "/webhooks/0/sideEffects",
                    json!("Some"),
                    "webhooks[0].sideEffects: Unsupported value: \"Some\"",
                ),
                (
                    "/webhooks/0/admissionReviewVersions",
                    json!(["v3"]),
                    "webhooks[0].admissionReviewVersions: Invalid value: [\"v3\"]: must include at least one of v1, v1beta1",
                ),
                (
                    "/webhooks/0/clientConfig/url",
                    json!("http://me@h.org/p?q#f"),
                    "[webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path], webhooks[0].clientConfig.url: Invalid value: \"me\": user information is not permitted in the URL, webhooks[0].clientConfig.url: Invalid value: \"f\": fragments are not permitted in the URL, webhooks[0].clientConfig.url: Invalid value: \"q\": query parameters are not permitted in the URL]",
                ),
                (
                    "/webhooks/0/clientConfig",
                    json!({"service": {"name": "s", "namespace": "n", "port": 0, "path": "a//b"}}),
                    "[webhooks[0].clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive, webhooks[0].clientConfig.service.path: Invalid value: \"a//b\": must start with a '/', webhooks[0].clientConfig.service.path: Invalid value: \"a//b\": segment[0] may not be empty",
                ),
                (
                    "/webhooks/0/matchConditions",
                    json!([{"name": "a", "expression": "object.x == params.y"}, {"name": "a", "expression": "true"}]),
                    "undeclared reference to 'params'",
                ),
                (
                    "/webhooks/0/rules/0/resources",
                    json!(["pods/*", "pods/status", "*", "nodes"]),
                    "[webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status, webhooks[0].rules[0].resources: Invalid value: [\"pods/*\",\"pods/status\",\"*\",\"nodes\"]: if '*' is present, must not specify other resources without subresources]",
                ),
                (
                    "/webhooks/0/rules/0/operations",
                    json!(["*", "READ"]),
                    "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"READ\"]: if '*' is present, must not specify other operations",
                ),
                (
                    "/webhooks/0/timeoutSeconds",
                    json!(31),
                    "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
                ),
            ],
        );
    }
    refused(
        "APIService",
        &[
            (
                "/metadata/name",
                json!("v2.example.com"),
                "metadata.name: Invalid value: \"v2.example.com\": must be `spec.version+\".\"+spec.group`: \"v1.passed.example.com\"",
            ),
            (
                "/spec/versionPriority",
                json!(0),
                "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
            ),
        ],
    );
    refused(
        "ControllerRevision",
        &[
            ("/revision", json!(-1), "revision: Invalid value: -1: must be greater than or equal to 0"),
            ("/data", json!(null), "data: Required value: data is mandatory"),
        ],
    );
    unchangeable("ControllerRevision", &[("/data", json!({"spec": {"a": 2}}), "data: Invalid value")]);
}
