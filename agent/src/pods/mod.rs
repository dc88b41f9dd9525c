//! Pods: what is to be done (`step`), what is shown (`status`), and one worker for each that does it.

pub(crate) mod observed;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod step;
