//! The expressions of a policy, read once.

use crate::cel::Program;
use crate::validation::{items, text};
use serde_json::Value;

/// A policy's expressions.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(super) conditions: Vec<Named>,
    pub(super) variables: Vec<Named>,
    pub(super) validations: Vec<Validation>,
}

/// An expression with a name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) program: Result<Program, String>,
}

/// One thing that a policy demands.
#[derive(Debug)]
pub(super) struct Validation {
    pub(super) expression: String,
    pub(super) program: Result<Program, String>,
    pub(super) message: String,
    pub(super) message_program: Option<Program>,
    pub(super) reason: String,
}

impl Compiled {
    pub(super) fn read(spec: &Value) -> Compiled {
        let named = |list: &Value| -> Vec<Named> {
            let one = |value: &Value| Named {
                name: text(&value["name"]).into(),
                program: Program::parse(text(&value["expression"])),
            };
            items(list).map(one).collect()
        };
        Compiled {
            conditions: named(&spec["matchConditions"]),
            variables: named(&spec["variables"]),
            validations: items(&spec["validations"]).map(Validation::read).collect(),
        }
    }
}

impl Validation {
    fn read(value: &Value) -> Validation {
        let own = |field: &str| text(&value[field]).trim().to_string();
        let message = own("messageExpression");
        Validation {
            program: Program::parse(text(&value["expression"])),
            expression: own("expression"),
            message: own("message"),
            message_program: (!message.is_empty()).then(|| Program::parse(&message).ok()).flatten(),
            reason: own("reason"),
        }
    }
}
