//! `authentication.k8s.io` and `authorization.k8s.io`: questions, which are answered and not stored.

use super::row;
use crate::kind::{Kind, Nature, Scope};

fn question(group: &'static str, kind: &'static str, plural: &'static str, singular: &'static str) -> Kind {
    Kind { scope: Scope::Cluster, nature: Nature::Asked, ..row(group, kind, plural, singular) }
}

pub(super) fn rows() -> Vec<Kind> {
    let (who, may) = ("authentication.k8s.io", "authorization.k8s.io");
    vec![
        question(who, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"),
        question(who, "TokenReview", "tokenreviews", "tokenreview"),
        Kind {
            scope: Scope::Namespaced,
            ..question(
                may,
                "LocalSubjectAccessReview",
                "localsubjectaccessreviews",
                "localsubjectaccessreview",
            )
        },
        question(may, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview"),
        question(may, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview"),
        question(may, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview"),
    ]
}
