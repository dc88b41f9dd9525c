//! Nodes: taints, identity, the range of their pods.

use super::{PLAIN, Strategy};
use crate::validation::{scheduling, status, text};
use peapod_api::FieldError;

pub(super) static STRATEGY: Strategy = Strategy {
    validate: |node, findings| {
        scheduling::taints(&mut findings.errors, "spec.taints", &node["spec"]["taints"]);
        status::node(node, &mut findings.errors);
    },
    validate_status: |node, _, errors| status::node(node, errors),
    validate_update: |new, old, findings| {
        let id = &old["spec"]["providerID"];
        if !text(id).is_empty() && new["spec"]["providerID"] != *id {
            let why = "node updates may not change providerID except from \"\" to valid";
            findings.errors.push(FieldError::forbidden("spec.providerID", why));
        }
        let ranges = &old["spec"]["podCIDRs"];
        if !ranges.is_null() && (new["spec"]["podCIDRs"] != *ranges || new["spec"]["podCIDR"] != ranges[0]) {
            let why = "node updates may not change podCIDR except from \"\" to valid";
            findings.errors.push(FieldError::forbidden("spec.podCIDRs", why));
        }
    },
    ..PLAIN
};
