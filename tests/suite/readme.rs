//! Every command that README.md shows, run by the binary just built.

use std::path::Path;

use crate::binary::Folder;

/// Commands that other tests run in full: the build and this suite itself, and the flagship,
/// which `command_line` and `crash` run with fewer steps.
fn is_covered_elsewhere(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    matches!(words[..], ["git", "clone", ..] | ["cd", ..])
        || matches!(words[..], ["cargo", "test" | "build" | "install" | "doc" | "bench" | "fmt" | "clippy", ..])
        || words == ["nfa-train"]
        || words == ["cargo", "run", "--release", "-p", "nfa-train"]
}

/// The commands of every ```sh block: one a line, joined over `\`, without prompt and comment.
fn commands(markdown: &str) -> Vec<String> {
    let (mut found, mut inside, mut line) = (Vec::new(), None, String::new());
    for text in markdown.lines().map(str::trim) {
        if let Some(language) = text.strip_prefix("```") {
            inside = if inside.is_none() { Some(matches!(language, "sh" | "bash" | "console")) } else { None };
            continue;
        }
        if inside != Some(true) {
            continue;
        }
        let text = text.strip_prefix("$ ").unwrap_or(text);
        match text.strip_suffix('\\') {
            Some(start) => line.push_str(start),
            None => {
                line.push_str(text);
                let command = line.split(" #").next().unwrap_or("").trim().to_string();
                if !command.is_empty() && !command.starts_with('#') {
                    found.push(command);
                }
                line.clear();
            }
        }
    }
    found
}

/// The arguments for `nfa-train`, if the command is a call of it.
fn arguments(command: &str) -> Option<Vec<String>> {
    let words = words(command);
    let after = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["nfa-train", ..] => 1,
        ["cargo", "run", ..] if words.iter().any(|word| word == "nfa-train") => {
            words.iter().position(|word| word == "--").map_or(words.len(), |at| at + 1)
        }
        _ => return None,
    };
    Some(words[after..].to_vec())
}

/// Words as a shell splits them; single and double quotes group.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_command_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md at the root of the repository");
    let folder = Folder::new();
    copy(&root.join("experiments"), &folder.path("experiments"));
    let mut ran = 0;
    for command in commands(&readme) {
        if is_covered_elsewhere(&command) {
            continue;
        }
        let arguments = arguments(&command)
            .unwrap_or_else(|| panic!("`{command}`: neither a call of nfa-train nor known to be tested elsewhere"));
        let ended = folder.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        // A missed expectation is a result; anything else is a README that doesn't work.
        assert!(matches!(ended.code, Some(0 | 1)), "`{command}`: {ended:?}");
        ran += 1;
    }
    assert!(ran > 0, "README.md shows no call of nfa-train in a ```sh block");
}

#[test]
fn commands_are_read_as_a_shell_would() {
    let text = "```sh\n$ nfa-train run a.toml \\\n    --set 'a.b=[1, 2]'  # words\n# only words\ncd x\n```\n\
                ```toml\nname = 1\n```\n```sh\ncargo run --release -p nfa-train --features wgpu -- ls out\n```\n";
    let found = commands(text);
    assert_eq!(found.len(), 3);
    assert_eq!(arguments(&found[0]).unwrap(), ["run", "a.toml", "--set", "a.b=[1, 2]"]);
    assert!(is_covered_elsewhere(&found[1]) && arguments(&found[1]).is_none());
    assert_eq!(arguments(&found[2]).unwrap(), ["ls", "out"]);
    assert!(is_covered_elsewhere("cargo run --release -p nfa-train"));
}
