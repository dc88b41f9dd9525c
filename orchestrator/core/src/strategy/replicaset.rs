//! ReplicaSets.

use super::{PLAIN, Strategy, pod, workload};

pub(super) static STRATEGY: Strategy = Strategy {
    counts_generations: true,
    prepare_create: workload::prepare,
    prepare_update: |new, _| workload::prepare(new),
    validate: workload::validate,
    validate_update: pod::immutable_selector,
    ..PLAIN
};
