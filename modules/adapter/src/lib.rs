//! Holds no code: this package only pins the adapter for `modules/env.sh`.
