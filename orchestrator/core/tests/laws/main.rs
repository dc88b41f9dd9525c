//! What must hold whatever the input: laws of the patch engines and decoders, over stored cases and drawn ones.

mod json_patch;
