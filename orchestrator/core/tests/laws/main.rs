//! What must hold whatever the input: laws of the decoders, the patch engines, selectors, quantities and validation, over
//! the inputs of `tests/corpus` and over as many drawn from them. An input that once broke a law belongs into the corpus.
//!
//! `PEAPOD_FUZZ_SECONDS` keeps each law at work for so long: half a minute in `make test`, ten in `make fuzz`.

#![allow(clippy::unwrap_used, reason = "test code")]

mod apply;
mod custom;
mod documents;
mod draw;
mod json_patch;
mod merge;
mod strategic;
mod texts;
