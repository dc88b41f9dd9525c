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
    /// Each by its own expression.
    pub(super) annotations: Vec<Named>,
    pub(super) mutations: Vec<Mutation>,
}

/// One thing that a policy changes.
#[derive(Debug)]
pub(super) enum Mutation {
    /// Its expression gives the operations of a JSON patch.
    JsonPatch(Result<Program, String>),
    /// Its expression gives a configuration to be merged in.
    Apply(Result<Program, String>),
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
            annotations: items(&spec["auditAnnotations"])
                .map(|annotation| {
                    let source = text(&annotation["valueExpression"]);
                    Named { name: source.into(), program: Program::parse(source) }
                })
                .collect(),
            mutations: items(&spec["mutations"]).map(Mutation::read).collect(),
        }
    }
}

impl Mutation {
    fn read(value: &Value) -> Mutation {
        let program = |field: &str| Program::parse(text(&value[field]["expression"]));
        if value["patchType"] == "JSONPatch" {
            Mutation::JsonPatch(program("jsonPatch"))
        } else {
            Mutation::Apply(program("applyConfiguration"))
        }
    }

    pub(super) fn program(&self) -> &Result<Program, String> {
        match self {
            Mutation::JsonPatch(program) | Mutation::Apply(program) => program,
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
