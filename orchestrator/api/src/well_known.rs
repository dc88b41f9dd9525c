//! Names that more than one part says and all must mean the same by: of labels, annotations, users, types and protocols.

/// Label of an EndpointSlice: the Service whose endpoints it holds.
pub const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// Label of Endpoints that are not mirrored to EndpointSlices if it is `true`.
pub const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Annotation: what a client-side apply has applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotation of a pod: the destinations outside of the pod network that it asks for, separated by commas.
pub const ALLOW_EGRESS: &str = "peapod.dev/allow-egress";
/// The namespace of the Leases that nodes renew.
pub const NODE_LEASES: &str = "kube-node-lease";

/// The API group of admission policies and webhooks.
pub const ADMISSION_GROUP: &str = "admissionregistration.k8s.io";
/// The API group of roles and their bindings.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// The group of the agents of nodes.
pub const NODES: &str = "system:nodes";
/// What the agent of a node is called: this and the node's name.
pub const NODE_PREFIX: &str = "system:node:";
/// Signs what agents show to the API server.
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// ALPN of a connection that an agent opens to be asked, not to ask: on it the server is the client of kubelet's paths.
pub const NODE_PROTOCOL: &[u8] = b"peapod-node/1";

/// The type of Secrets that are tokens to join with.
pub const JOIN_TOKEN: &str = "bootstrap.kubernetes.io/token";
/// Their names: this and the token's id.
pub const JOIN_TOKEN_PREFIX: &str = "bootstrap-token-";
