//! What a file is: which world its bytes implement, or a sentence that says what is missing.

use wasmparser::{Encoding, ExternalKind, Parser, Payload};

/// Size limit of a module, in bytes: compilation takes time and memory in proportion.
pub const MAX_MODULE_BYTES: usize = 256 << 20;
/// Size limit of one function's body, in bytes: optimising takes more than proportional time.
pub const MAX_FUNCTION_BYTES: usize = 4 << 20;
/// How many names an error lists.
const MAX_LISTED: usize = 12;

/// The kinds of programs that a container can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// A core module that exports `_start` and imports `wasi_snapshot_preview1`.
    Preview1Command,
    /// A component that exports `wasi:cli/run`.
    Command,
    /// A component that exports `wasi:http/incoming-handler`.
    HttpHandler,
}

/// What the parser found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) world: World,
    /// `module::name` of a core module's imports, interface names of a component's.
    pub(super) imports: Vec<String>,
}

/// Why bytes are no program. The text says what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct NotAProgram(pub(super) String);

/// Turns WebAssembly text into a binary; a binary is passed through.
pub(super) fn to_binary(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, NotAProgram> {
    if bytes.len() > MAX_MODULE_BYTES {
        return Err(NotAProgram(format!(
            "the module has {} bytes, more than the limit of {MAX_MODULE_BYTES}",
            bytes.len()
        )));
    }
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes.into());
    }
    if !looks_like_text(bytes) {
        return Err(NotAProgram(format!(
            "not a WebAssembly file: {}. Build for the target wasm32-wasip1 or wasm32-wasip2",
            describe(bytes)
        )));
    }
    let binary = wat::parse_bytes(bytes)
        .map_err(|error| NotAProgram(format!("not valid WebAssembly text: {error}")))?;
    Ok(binary)
}

/// Text starts with `(`, after blanks and comments.
fn looks_like_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix(";;") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if let Some(comment) = rest.strip_prefix("(;") {
            rest = comment.split_once(";)").map_or("", |(_, rest)| rest).trim_start();
        } else {
            return rest.starts_with("(module") || rest.starts_with("(component");
        }
    }
}

/// Names a foreign format by its first bytes.
fn describe(bytes: &[u8]) -> String {
    let kind = match bytes {
        [] => return "it is empty".into(),
        [0x7f, b'E', b'L', b'F', ..] => "it is a native ELF program",
        [b'#', b'!', ..] => "it is a script",
        [0x1f, 0x8b, ..] => "it is gzip data",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive",
        [b'M', b'Z', ..] => "it is a Windows program",
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "it is a native macOS program",
        [b'{', ..] => "it looks like JSON",
        _ => "its format is unknown",
    };
    let head: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind} (it begins with the bytes {})", head.join(" "))
}

/// Finds the world that a binary implements.
pub(super) fn classify(binary: &[u8]) -> Result<Outline, NotAProgram> {
    let mut found = Found::default();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(binary) {
        let payload =
            payload.map_err(|error| NotAProgram(format!("not a valid WebAssembly file: {error}")))?;
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionEntry(body) if body.range().len() > MAX_FUNCTION_BYTES => {
                return Err(NotAProgram(format!(
                    "a function of the module has {} bytes, more than the limit of {MAX_FUNCTION_BYTES}",
                    body.range().len()
                )));
            }
            payload if depth == 0 => found
                .look_at(payload)
                .map_err(|error| NotAProgram(format!("not a valid WebAssembly file: {error}")))?,
            _ => {}
        }
    }
    found.outline()
}

#[derive(Default)]
struct Found {
    is_component: bool,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Found {
    fn look_at(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => self.is_component = encoding == Encoding::Component,
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.imports.push(format!("{}::{}", import.module, import.name));
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exports.push(export.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn outline(self) -> Result<Outline, NotAProgram> {
        let world = if self.is_component { self.component_world() } else { self.module_world() };
        world.map(|world| Outline { world, imports: self.imports }).map_err(NotAProgram)
    }

    fn module_world(&self) -> Result<World, String> {
        if self.exports.iter().any(|name| name == "_start") {
            return Ok(World::Preview1Command);
        }
        if self.exports.iter().any(|name| name == "_initialize") {
            return Err("the module is a WASI reactor (it exports _initialize): a container needs a command, that is, \
                        a core module that exports the function _start. Build a program with a main function, not a library"
                .into());
        }
        Err(format!(
            "the module does not export the function _start, so there is nothing to run{}. Build a program with a main \
             function for the target wasm32-wasip1",
            self.exports_listed()
        ))
    }

    fn component_world(&self) -> Result<World, String> {
        if self.exports_interface("wasi:http/incoming-handler") {
            return Ok(World::HttpHandler);
        }
        if self.exports_interface("wasi:cli/run") {
            return Ok(World::Command);
        }
        Err(format!(
            "the component exports neither wasi:cli/run@0.2 (a command) nor wasi:http/incoming-handler@0.2 (an HTTP \
             handler), so there is nothing to run{}",
            self.exports_listed()
        ))
    }

    fn exports_interface(&self, interface: &str) -> bool {
        self.exports.iter().any(|name| {
            name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with("@0.2."))
        })
    }

    fn exports_listed(&self) -> String {
        if self.exports.is_empty() {
            String::new()
        } else {
            format!(" (it exports {})", listed(&self.exports))
        }
    }
}

/// Joins names for an error, at most [`MAX_LISTED`] of them.
pub(super) fn listed(names: &[String]) -> String {
    let mut text = names.iter().take(MAX_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", names.len() - MAX_LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Result<Outline, NotAProgram> {
        classify(&to_binary(text.as_bytes())?)
    }

    fn refusal(bytes: &[u8]) -> String {
        to_binary(bytes).and_then(|binary| classify(&binary)).unwrap_err().to_string()
    }

    #[test]
    fn a_command_module_is_known_by_its_start() {
        let text = r#"
            ;; a comment, (; and another ;)
            (module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#;
        let outline = outline(text).unwrap();
        assert_eq!(outline.world, World::Preview1Command);
        assert_eq!(outline.imports, ["wasi_snapshot_preview1::proc_exit"]);
    }

    #[test]
    fn components_are_known_by_their_interfaces_and_not_by_what_is_nested() {
        let run = r#"(component
            (core module $m (func (export "_start")) (func (export "f") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $f (result (result)) (canon lift (core func $i "f")))
            (instance $run (export "run" (func $f)))
            (export "wasi:cli/run@0.2.3" (instance $run)))"#;
        assert_eq!(outline(run).unwrap().world, World::Command);
        let http = run.replace("wasi:cli/run@0.2.3", "wasi:http/incoming-handler@0.2.0");
        assert_eq!(outline(&http).unwrap().world, World::HttpHandler);
        let later = run.replace("@0.2.3", "@0.3.0");
        assert!(refusal(later.as_bytes()).contains("it exports wasi:cli/run@0.3.0"));
    }

    #[test]
    fn what_is_no_program_is_told_what_it_is() {
        assert!(
            refusal(b"\x7fELF\x02\x01")
                .contains("native ELF program (it begins with the bytes 7f 45 4c 46 02 01)")
        );
        assert!(refusal(b"").contains("it is empty"));
        assert!(refusal(b"#!/bin/sh").contains("it is a script"));
        assert!(refusal(b"(module (func").contains("not valid WebAssembly text"));
        assert!(refusal(b"\0asm\x01\0\0\0\xff\xff").contains("not a valid WebAssembly file"));
        assert!(
            refusal(b"(module (func (export \"main\")))").contains("does not export the function _start")
        );
        assert!(refusal(b"(module (func (export \"main\")))").contains("it exports main"));
        assert!(refusal(b"(module (func (export \"_initialize\")))").contains("reactor"));
        assert!(refusal(b"(component)").contains("wasi:http/incoming-handler@0.2"));
    }
}
