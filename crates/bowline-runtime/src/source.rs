//! Where a design's text comes from: a file, a folder, or standard input.
//!
//! The pure crates read nothing; this is the one place that turns a path into text.

use bowline_design::Text;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes read from one source: a design is written by people, and the largest export of a
/// whole mesh that was seen is a tenth of this.
pub const BYTES_MAX: u64 = 64 << 20;

/// The most files read from one folder. More means the path is wrong, `/` for instance.
pub const FILES_MAX: usize = 10_000;

/// Folders that never hold a design: build output, version control, dependencies, our own data.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// Reads a design's texts, in the order of their paths.
///
/// `-` is standard input. A folder is read recursively: every `.yaml`, `.yml` and, for exports,
/// `.json` file, but no hidden folder, `target` or `node_modules`, and no `.json` that says itself
/// to be something else (`package.json`, `tsconfig.json`).
///
/// # Errors
/// The path does not exist, cannot be read, is not UTF-8, holds no design file (or nothing at all), or is
/// too large.
pub fn read(path: &Path) -> Result<Vec<Text>, ReadError> {
    if path == Path::new("-") {
        let text = limited(path, io::stdin().lock())?;
        if says_nothing(&text) {
            // `kubectl .. | bowline check -` must not be green because kubectl failed, and
            // `.. | bowline up - --replace` must not close every door.
            let why = "standard input is empty; did the command before the pipe fail?";
            return Err(ReadError::new(path, io::Error::new(io::ErrorKind::UnexpectedEof, why)));
        }
        return Ok(vec![Text { name: "stdin".into(), text }]);
    }
    let meta = std::fs::metadata(path).map_err(|source| ReadError::new(path, source))?;
    if meta.is_file() {
        return Ok(vec![one(path)?]);
    }
    let mut files = Vec::new();
    walk(path, &mut files)?;
    if files.is_empty() {
        let why = "holds no .yaml, .yml or .json file; name the folder that holds the design";
        return Err(ReadError::new(path, io::Error::new(io::ErrorKind::NotFound, why)));
    }
    files.sort();
    files.iter().map(|file| one(file)).collect()
}

/// Whether a text has no document in it: nothing, or comments and the lines that part documents.
fn says_nothing(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || matches!(line, "---" | "..."))
}

/// The folder that a design at `path` is in: where its programs run and its files are looked for.
#[must_use]
pub fn folder(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty() && folder.exists());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// A fingerprint of what [`read`] would read: names, lengths and modification times. Equal
/// fingerprints mean that nothing changed; it never fails, because a design half written is a change
/// like any other.
///
/// Taken *before* a design is read, it misses no change: one that comes while reading shows later.
#[must_use]
pub fn fingerprint(path: &Path) -> Fingerprint {
    let mut files = Vec::new();
    if path.is_dir() {
        let _ = walk(path, &mut files);
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let stamp = |file: PathBuf| {
        let meta = std::fs::metadata(&file).ok();
        let len = meta.as_ref().map_or(0, std::fs::Metadata::len);
        let modified = meta.and_then(|meta| meta.modified().ok());
        (file, len, modified)
    };
    Fingerprint(files.into_iter().map(stamp).collect())
}

/// What a design's files looked like at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, u64, Option<std::time::SystemTime>)>);

/// Why a design could not be read: the path and the cause.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    source: io::Error,
}

impl ReadError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read the design at `{}`", self.path.display())
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

fn one(path: &Path) -> Result<Text, ReadError> {
    let file = std::fs::File::open(path).map_err(|source| ReadError::new(path, source))?;
    let name: Arc<str> = path.to_string_lossy().trim_start_matches("./").into();
    Ok(Text { name, text: limited(path, file)? })
}

fn limited(path: &Path, from: impl Read) -> Result<String, ReadError> {
    let mut text = String::new();
    let read = from.take(BYTES_MAX + 1).read_to_string(&mut text);
    let read = read.map_err(|source| ReadError::new(path, source))?;
    if read as u64 > BYTES_MAX {
        let why = format!("is larger than {} MiB; a design is text written by people", BYTES_MAX >> 20);
        return Err(ReadError::new(path, io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    Ok(text)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    let entries = std::fs::read_dir(folder).map_err(|source| ReadError::new(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| ReadError::new(folder, source))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || SKIPPED.contains(&name.as_ref()) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if is_design(&name) {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            let why = format!("holds more than {FILES_MAX} files; name the folder that holds the design");
            return Err(ReadError::new(folder, io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
    }
    Ok(())
}

fn is_design(name: &str) -> bool {
    let other_json = ["package.json", "package-lock.json", "tsconfig.json"];
    name.ends_with(".yaml")
        || name.ends_with(".yml")
        || (name.ends_with(".json") && !other_json.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_the_order_of_its_paths_and_without_build_output() {
        let folder = std::env::temp_dir().join(format!("bowline-source-{}", std::process::id()));
        for (path, text) in [
            ("b.yaml", "b"),
            ("a/z.yml", "z"),
            ("target/x.yaml", "x"),
            (".hidden/y.yaml", "y"),
            ("README.md", "r"),
        ] {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let texts: Vec<String> = read(&folder).unwrap().into_iter().map(|text| text.text).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(texts, ["z", "b"]);
    }

    #[test]
    fn a_path_that_is_not_there_says_so() {
        let error = read(Path::new("no/such/design")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the design at `no/such/design`");
    }
}
