//! What types and fields are for, in the words that `kubectl explain` prints. They come from k8s-openapi at run time.

use super::types::{Field, Type};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// The descriptions of the kinds of one group and version, and of every type below them. Making them costs some
/// milliseconds; nothing is cached.
#[derive(Default)]
pub struct Descriptions(Map<String, Value>);

impl Descriptions {
    /// Of the kinds of `api_version`, e.g. `apps/v1`; empty if none is known.
    pub fn of(api_version: &str) -> Descriptions {
        let mut generator = SchemaGenerator::default();
        collect(api_version, &mut generator);
        Descriptions(generator.take_definitions(false))
    }

    /// What the type is.
    pub fn of_type(&self, ty: &Type) -> Option<&str> {
        self.of_name(&ty.name)
    }

    /// What the type of that full name is.
    pub fn of_name(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.get("description")?.as_str()
    }

    /// What the type's field is.
    pub fn of_field(&self, ty: &Type, field: &Field) -> Option<&str> {
        self.0.get(&ty.name)?.get("properties")?.get(&field.name)?.get("description")?.as_str()
    }
}

macro_rules! describe {
    ($generator:ident: $group:ident::$version:ident { $($kind:ident),* $(,)? }) => {{
        use k8s_openapi::api::$group::$version;
        $(add::<$version::$kind>($generator);)*
    }};
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

fn collect(api_version: &str, generator: &mut SchemaGenerator) {
    match api_version {
        "v1" => describe!(generator: core::v1 {
            Namespace, Node, Pod, Service, Endpoints, ConfigMap, Secret, Event, ServiceAccount, LimitRange,
            ResourceQuota, PersistentVolume, PersistentVolumeClaim, ReplicationController, PodTemplate, Binding,
            ComponentStatus,
        }),
        "apps/v1" => describe!(generator: apps::v1 {
            Deployment, ReplicaSet, StatefulSet, DaemonSet, ControllerRevision,
        }),
        "batch/v1" => describe!(generator: batch::v1 { Job, CronJob }),
        "autoscaling/v1" => describe!(generator: autoscaling::v1 { HorizontalPodAutoscaler, Scale }),
        "autoscaling/v2" => describe!(generator: autoscaling::v2 { HorizontalPodAutoscaler }),
        "discovery.k8s.io/v1" => describe!(generator: discovery::v1 { EndpointSlice }),
        "coordination.k8s.io/v1" => describe!(generator: coordination::v1 { Lease }),
        "events.k8s.io/v1" => describe!(generator: events::v1 { Event }),
        "networking.k8s.io/v1" => {
            describe!(generator: networking::v1 { NetworkPolicy, Ingress, IngressClass, IPAddress, ServiceCIDR })
        }
        "policy/v1" => describe!(generator: policy::v1 { PodDisruptionBudget, Eviction }),
        "rbac.authorization.k8s.io/v1" => describe!(generator: rbac::v1 {
            Role, RoleBinding, ClusterRole, ClusterRoleBinding,
        }),
        "authentication.k8s.io/v1" | "authentication.k8s.io/v1beta1" => {
            describe!(generator: authentication::v1 { SelfSubjectReview, TokenReview, TokenRequest })
        }
        "authorization.k8s.io/v1" => describe!(generator: authorization::v1 {
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
        }),
        "storage.k8s.io/v1" => {
            describe!(generator: storage::v1 { StorageClass, VolumeAttachment, VolumeAttributesClass, CSIDriver, CSINode, CSIStorageCapacity })
        }
        "scheduling.k8s.io/v1" => describe!(generator: scheduling::v1 { PriorityClass }),
        "node.k8s.io/v1" => describe!(generator: node::v1 { RuntimeClass }),
        "certificates.k8s.io/v1" => describe!(generator: certificates::v1 { CertificateSigningRequest }),
        "admissionregistration.k8s.io/v1" => describe!(generator: admissionregistration::v1 {
            MutatingWebhookConfiguration, ValidatingWebhookConfiguration, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding,
        }),
        "flowcontrol.apiserver.k8s.io/v1" => {
            describe!(generator: flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration })
        }
        "apiregistration.k8s.io/v1" => {
            use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
            add::<APIService>(generator);
        }
        "apiextensions.k8s.io/v1" => {
            use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
            add::<CustomResourceDefinition>(generator);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::lookup_kind;
    use peapod_api::kinds::KINDS;

    #[test]
    fn every_kind_and_the_fields_below_it_are_described() {
        for kind in KINDS.iter() {
            let descriptions = Descriptions::of(&kind.api_version());
            let ty = lookup_kind(&kind.api_version(), &kind.kind).unwrap();
            assert!(descriptions.of_type(ty).is_some(), "{}", kind.resource());
            let metadata = ty.field("metadata").unwrap();
            // One published kind has no words for its metadata, but for the rest.
            let described =
                ty.fields.iter().filter(|field| descriptions.of_field(ty, field).is_some()).count();
            let least = if kind.stored() { 3 } else { 2 };
            assert!(described >= least, "{}", kind.resource());
            let name = metadata.kind.object().unwrap();
            assert!(descriptions.of_field(name, name.field("name").unwrap()).is_some());
        }
        let core = Descriptions::of("v1");
        let container = crate::schema::lookup("io.k8s.api.core.v1.Container").unwrap();
        assert!(core.of_field(container, container.field("image").unwrap()).is_some());
    }
}
