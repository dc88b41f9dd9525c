//! Every decision that the control plane takes, as pure functions over a [`snapshot::Snapshot`].
//! No I/O, no clock, no randomness: time and seeds are parameters.
#![deny(missing_docs)]

pub mod action;
pub mod admission;
pub mod api_services;
pub mod auth;
mod cel;
pub mod certificate;
mod classes;
pub mod controllers;
pub mod convert;
pub mod cron;
pub mod custom;
pub mod disruption;
pub mod duration;
pub mod name;
pub mod patch;
pub mod pod_fields;
pub mod policy;
pub mod quota;
pub mod scheduler;
pub mod schema;
pub mod served;
pub mod snapshot;
pub mod strategy;
pub mod table;
pub mod validation;
mod warnings;
pub mod webhook;
