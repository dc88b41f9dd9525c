//! `authentication.k8s.io` and `authorization.k8s.io`: questions, which are answered and not stored.

use super::{row, t};
use crate::kind::{Kind, Nature, Scope};

fn question(group: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { scope: Scope::Cluster, nature: Nature::Asked, ..row(group, kind, plural) }
}

pub(super) fn rows() -> Vec<Kind> {
    let (who, may) = ("authentication.k8s.io", "authorization.k8s.io");
    vec![
        question(who, "SelfSubjectReview", "selfsubjectreviews"),
        // For kubectl 1.27, whose `auth whoami` knows no other.
        Kind { version: t("v1beta1"), ..question(who, "SelfSubjectReview", "selfsubjectreviews") },
        question(who, "TokenReview", "tokenreviews"),
        Kind {
            scope: Scope::Namespaced,
            ..question(may, "LocalSubjectAccessReview", "localsubjectaccessreviews")
        },
        question(may, "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        question(may, "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        question(may, "SubjectAccessReview", "subjectaccessreviews"),
    ]
}
