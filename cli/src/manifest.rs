//! Reading manifests: files, directories or standard input, YAML or JSON, several documents a file.

use anyhow::{Context, bail};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest manifest that is read, in bytes.
const LIMIT_BYTES: u64 = 16 << 20;

/// Every object in `path`: a file, `-` for standard input, or a directory's `.yaml`, `.yml` and `.json` files by name.
/// A `List` counts as its items.
///
/// # Errors
/// The file that cannot be read or parsed, with the place in it.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    for file in files(path)? {
        let text = text(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).with_context(|| format!("{} is no YAML", file.display()))?;
        for document in documents {
            flatten(document, &mut objects).with_context(|| file.display().to_string())?;
        }
    }
    if objects.is_empty() {
        bail!("no objects in {}", path.display());
    }
    Ok(objects)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let is_manifest =
        |path: &PathBuf| path.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|x| e == *x));
    let mut files: Vec<PathBuf> = paths.into_iter().filter(is_manifest).collect();
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LIMIT_BYTES + 1).read_to_string(&mut text)?
    } else {
        std::fs::File::open(path)?.take(LIMIT_BYTES + 1).read_to_string(&mut text)?
    };
    if read as u64 > LIMIT_BYTES {
        bail!("it is larger than {} MiB", LIMIT_BYTES >> 20);
    }
    Ok(text)
}

fn flatten(document: Value, objects: &mut Vec<Value>) -> anyhow::Result<()> {
    match document {
        Value::Null => Ok(()),
        Value::Object(mut map) if map.get("kind").is_some_and(|k| k == "List") => {
            let items = map.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default();
            items.into_iter().try_for_each(|item| flatten(item, objects))
        }
        Value::Object(map) if map.contains_key("apiVersion") && map.contains_key("kind") => {
            objects.push(Value::Object(map));
            Ok(())
        }
        _ => bail!("a document has no apiVersion and kind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lists_and_empty_ones() {
        let dir = std::env::temp_dir().join(format!("peapod-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let list = "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n- {apiVersion: v1, kind: Service}\n";
        std::fs::write(dir.join("b.yaml"), list).unwrap();
        std::fs::write(dir.join("a.json"), r#"{"apiVersion": "v1", "kind": "Namespace"}"#).unwrap();
        std::fs::write(dir.join("notes.txt"), "not read").unwrap();
        let kinds: Vec<_> =
            read(&dir).unwrap().iter().map(|o| o["kind"].as_str().unwrap().to_string()).collect();
        assert_eq!(kinds, ["Namespace", "Pod", "Service"]);
        std::fs::write(dir.join("c.yaml"), "just text").unwrap();
        assert!(read(&dir).unwrap_err().to_string().contains("c.yaml"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
