//! The README says what the program does: its commands are run, its keys are the program's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

/// Pages whose commands and links are tried; commands run in the repository's folder.
const PAGES: [&str; 3] = ["README.md", "assets/examples/freed-memory/README.md", "assets/loggers/README.md"];

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn readme() -> String {
    page(PAGES[0])
}

/// A `console` block: commands behind `$ `, `? N` for an exit code other than 0, and lines that
/// must occur in the output, in order (`…` alone stands for any lines).
struct Example {
    command: String,
    code: i32,
    lines: Vec<String>,
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside || line.is_empty() || line == "…" => {}
            _ => {
                if let Some(command) = line.strip_prefix("$ ") {
                    examples.push(Example { command: command.into(), code: 0, lines: Vec::new() });
                } else if let Some(code) = line.strip_prefix("? ") {
                    examples.last_mut().unwrap().code = code.parse().unwrap();
                } else {
                    examples.last_mut().unwrap().lines.push(line.into());
                }
            }
        }
    }
    examples
}

#[test]
fn every_command_prints_what_the_readme_says() {
    assert!(examples(&readme()).len() >= 3, "the README shows commands");
    for example in PAGES.iter().flat_map(|name| examples(&page(name))) {
        let mut words = example.command.split_whitespace();
        assert_eq!(words.next(), Some("paritty"), "{}", example.command);
        let arguments: Vec<&str> = words.collect();
        let output = Command::new(env!("CARGO_BIN_EXE_paritty"))
            .args(&arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(example.code), "{}\n{printed}{errors}", example.command);
        let mut rest = printed.lines();
        for line in &example.lines {
            let found = rest.any(|l| l.trim_end() == line.trim_end());
            assert!(
                found,
                "{}\ndoes not print `{line}` (in this order); it prints\n{printed}",
                example.command
            );
        }
    }
}

/// Compares a section of the README with what the program says, or takes it over.
fn section(name: &str, table: &str) {
    let text = readme();
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let begin = text.find(&start).unwrap() + start.len();
    let end = text.find(&end).unwrap();
    if std::env::var_os("PARITTY_BLESS").is_some() {
        let text = format!("{}{}\n\n{}", &text[..begin], table.trim(), &text[end..]);
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), text).unwrap();
        return;
    }
    assert_eq!(
        text[begin..end].trim(),
        table.trim(),
        "run `PARITTY_BLESS=1 cargo test --test readme` to take the table over"
    );
}

// One test, so that two sections are not written over each other.
#[test]
fn keys_and_commands_are_those_of_the_program() {
    section("keys", &paritty::tui::Keymap::default().markdown());
    section("commands", &paritty::tui::command::markdown());
}

#[test]
fn every_linked_file_is_there() {
    for name in PAGES {
        let text = page(name);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{name} links to {file}");
            }
        }
    }
}
