//! The structure that the README draws is the one that is there: what a row uses stands above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Modules of the crate in the order of the README's table.
fn rows() -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let table = readme.split("## How it is built").nth(1).expect("the section");
    let names = Regex::new(r"`src/(\w+)(?:\.rs)?`").expect("a pattern");
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let firsts = rows.filter_map(|row| row.split('|').nth(1));
    firsts.flat_map(|cell| names.captures_iter(cell).map(|c| c[1].to_owned()).collect::<Vec<_>>()).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_folder_has_its_row_and_uses_only_rows_above_it() {
    let rows = rows();
    let uses = Regex::new(r"\bcrate::(\w+)").expect("a pattern");
    let src = root().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in files {
        let inside = file.strip_prefix(&src).expect("below src");
        let module = inside.iter().next().and_then(|n| Path::new(n).file_stem()).expect("a name");
        let module = module.to_str().expect("text");
        if matches!(module, "lib" | "main" | "testing") {
            continue;
        }
        seen.insert(module.to_owned());
        let Some(own) = rows.iter().position(|r| r == module) else {
            wrong.push(format!("{module} has no row"));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for used in uses.captures_iter(line) {
                if rows.iter().position(|r| *r == used[1]).is_some_and(|at| at > own) {
                    wrong.push(format!("{} uses {} below it", inside.display(), &used[1]));
                }
            }
        }
    }
    wrong.extend(rows.iter().filter(|row| !seen.contains(*row)).map(|row| format!("{row} is not there")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
