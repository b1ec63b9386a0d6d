//! The project speaks of itself alone: no path of one machine, no registry's host.
//!
//! A path that exists on one machine breaks the next; a registry's host belongs to the
//! configuration of whoever builds. (What a lock file says of where crates come from is a name, not
//! a host of ours.)

use super::Finding;
use super::tree::Tree;

/// Folders of one machine. In two pieces, so as not to find themselves.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Where packages are downloaded from, or mirrored.
const HOSTS: &[&str] = &[
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("arti", "factory"),
    concat!("pypi", ".org"),
    concat!("files.python", "hosted.org"),
    concat!("deb.", "debian.org"),
    concat!("registry.", "npmjs.org"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (n, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, n + 1);
            for folder in FOLDERS.iter().filter(|folder| names_folder(line, folder)) {
                let what = format!("names a folder of one machine, {folder}");
                findings.push(Finding::new(
                    &place,
                    what,
                    "name it from the top of the tree, or take it as an argument",
                ));
            }
            for host in HOSTS.iter().filter(|host| line.contains(**host)) {
                let what = format!("names a registry's host, {host}");
                findings.push(Finding::new(
                    &place,
                    what,
                    "leave registries to the machine's own configuration",
                ));
            }
        }
    }
    findings
}

/// Whether the folder stands at the beginning of a path; `target/work/` is a folder of the tree.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-*}~/".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        check(&Tree::default().with_file("docs/README.md", line)).len()
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for folder in FOLDERS {
            assert_eq!(found(&format!("see `{folder}notes`")), 1, "{folder}");
            assert_eq!(found(&format!("{folder}notes")), 1, "{folder}");
        }
    }

    #[test]
    fn a_folder_of_the_tree_is_not() {
        assert_eq!(found(concat!("see target", "/wo", "rk/notes")), 0);
        assert_eq!(found(concat!("$HOME", "/wo", "rk/notes")), 0);
    }

    #[test]
    fn a_registrys_host_is_found() {
        for host in HOSTS {
            assert_eq!(found(&format!("https://{host}/simple")), 1, "{host}");
        }
    }

    #[test]
    fn what_a_lock_file_says_is_fine() {
        assert_eq!(found("source = \"registry+https://github.com/rust-lang/crates.io-index\""), 0);
    }
}
