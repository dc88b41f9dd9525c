//! Printing: the server's Table, JSON, YAML.

use clap::ValueEnum;
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table with more columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// KIND/NAME.
    Name,
}

/// Prints to standard output; a closed pipe ends the process quietly, as other tools do.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// An object as JSON or YAML.
pub(crate) fn print_object(object: &Value, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Yaml => serde_saphyr::to_string(object)?,
        _ => serde_json::to_string_pretty(object)? + "\n",
    };
    print(&text);
    Ok(())
}

/// Rows under headings, in columns as kubectl sets them; headings are bold on a terminal.
pub(crate) fn columns(headings: &[String], rows: &[Vec<String>]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row.get(index).map_or(0, |cell| cell.chars().count()));
        cells.chain([headings[index].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_string()
    };
    let bold = std::io::stdout().is_terminal();
    let heading = line(headings);
    let heading = if bold { format!("\x1b[1m{heading}\x1b[0m") } else { heading };
    let lines = std::iter::once(heading).chain(rows.iter().map(|row| line(row)));
    lines.map(|line| line + "\n").collect()
}

/// A `meta.k8s.io/v1 Table`, `wide` with the columns of lower priority; `namespace` puts one in front.
pub(crate) fn of_server(table: &Value, wide: bool, namespace: bool) -> String {
    let definitions = table["columnDefinitions"].as_array().cloned().unwrap_or_default();
    let shown: Vec<usize> =
        (0..definitions.len()).filter(|i| wide || definitions[*i]["priority"] == 0).collect();
    let heading = |index: &usize| definitions[*index]["name"].as_str().unwrap_or_default().to_uppercase();
    let mut headings: Vec<String> = shown.iter().map(heading).collect();
    if namespace {
        headings.insert(0, "NAMESPACE".into());
    }
    let rows = table["rows"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = rows
        .map(|row| {
            let cells = shown.iter().map(|index| plain(&row["cells"][*index]));
            let place = namespace.then(|| plain(&row["object"]["metadata"]["namespace"]));
            place.into_iter().chain(cells).collect()
        })
        .collect();
    columns(&headings, &rows)
}

/// Text as it stands, without what could steer a terminal.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_aligned_and_harmless() {
        let table = json!({
            "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "IP", "priority": 1}, {"name": "Age", "priority": 0}],
            "rows": [
                {"cells": ["a", "10.0.0.1", "5s"], "object": {"metadata": {"namespace": "x"}}},
                {"cells": ["long\u{1b}[2J", "", "1m"], "object": {"metadata": {"namespace": "y"}}},
            ],
        });
        assert_eq!(of_server(&table, false, false), "NAME       AGE\na          5s\nlong [2J   1m\n");
        assert!(of_server(&table, true, true).starts_with("NAMESPACE   NAME       IP         AGE\n"));
    }
}
