//! The rules of language: the first word of a doc comment, and the words for a listener, a node or an operator.
//!
//! The code is read by people who do not know it yet. A comment that begins with a pronoun makes them look for what it
//! stands for, and a listener or a node is a thing: "it" or "they".

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The words that no doc comment begins with.
const PRONOUNS: [&str; 17] = [
    "it", "they", "he", "she", "who", "whom", "whose", "where", "them", "its", "their", "those",
    "what", "which", "this", "these", "there",
];

/// The words that are used for nobody.
const PERSONAL: [&str; 3] = ["he", "his", "him"];

/// The names of a codec that are not about anybody.
const HIGH_EFFICIENCY: [&str; 3] = ["he-aac", "he_aac", "aac_he"];

/// The folders and files in which nobody is called by a personal pronoun; comments are read wherever there is Rust.
const IMPERSONAL: [&str; 4] = ["src/", "simulations/", "docs/", "README.md"];

/// Every rule of language that the file at `path`, relative to the manifest's folder, breaks.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if path.ends_with(".rs") {
        found.extend(pronouns_first(text));
    }
    if IMPERSONAL.iter().any(|place| path.starts_with(place)) {
        found.extend(personal_words(text));
    }
    let say = |(line, rule): &(usize, String)| format!("{path}:{line}: {rule}");
    found.iter().map(say).collect()
}

/// The doc comments that begin with a pronoun, by the number of their first line.
fn pronouns_first(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut before = None;
    for (index, line) in text.lines().enumerate() {
        let comment = doc_comment(line);
        if let Some((mark, words)) = comment
            && before != Some(mark)
            && let Some(word) = first_word(words)
            && PRONOUNS.contains(&word.to_lowercase().as_str())
        {
            let rule = format!("a doc comment begins with `{word}`: name the thing");
            found.push((index + 1, rule));
        }
        before = comment.map(|(mark, _)| mark);
    }
    found
}

/// The mark of a line of doc comment, and the text after it.
fn doc_comment(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    let marks = ["///", "//!"];
    let of_mark = |mark: &'static str| line.strip_prefix(mark).map(|words| (mark, words));
    marks.into_iter().find_map(of_mark)
}

/// The first word of a comment; `None` where it begins with code or a link.
fn first_word(words: &str) -> Option<&str> {
    let words = words.trim_start_matches([' ', '*', '_', '"']);
    let word = words.split(|c: char| !c.is_alphabetic()).next();
    word.filter(|word| !word.is_empty())
}

/// The personal pronouns of a text, also as a part of a name, by the number of their line.
fn personal_words(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let names = HIGH_EFFICIENCY
            .iter()
            .flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
        let line = names.fold(line.to_owned(), |line, name| line.replace(&name, ""));
        let mut words = line.split(|c: char| !c.is_alphabetic());
        if let Some(word) = words.find(|word| PERSONAL.contains(&word.to_lowercase().as_str())) {
            found.push((
                index + 1,
                format!("`{word}`: write `it`, `they` or the noun"),
            ));
        }
    }
    found
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

/// The project's code, and its pages: README and those in `docs` and `simulations`.
fn house_and_pages() -> BTreeMap<String, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![home.join("README.md")];
    pages(&home.join("docs"), &mut files);
    pages(&home.join("simulations"), &mut files);
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a page is UTF-8");
        let path = file.strip_prefix(home).expect("it lies below the manifest");
        (path.to_string_lossy().into_owned(), text)
    };
    let mut all = super::house();
    all.extend(files.into_iter().map(read));
    all
}

#[test]
fn comments_and_pages_are_written_in_plain_words() {
    let found: Vec<String> = house_and_pages()
        .iter()
        .flat_map(|(path, text)| breaches(path, text))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn planted_breaches_of_language_are_caught() {
    let planted = [
        ("src/io/a.rs", "/// Its name.\nfn f() {}", "Its"),
        ("src/io/a.rs", "/// What a node says.", "What"),
        ("src/io/a.rs", "/// There is none.", "There"),
        ("tests/a.rs", "//! This module is one.", "This"),
        ("src/io/a.rs", "//! They, by name.\n", "They"),
        (
            "tests/whole/a.rs",
            "    /// Where a node listens.\n",
            "Where",
        ),
        ("benches/a.rs", "/// *Who* asks.", "Who"),
        ("src/io/a.rs", "//! A file.\n/// It is a thing.", "It"),
        ("src/io/a.rs", "// An operator, as he types it.", "he"),
        (
            "simulations/src/a.rs",
            "fn f() { warn!(\"not him\") }",
            "him",
        ),
        ("src/io/a.rs", "fn a_listener_keeps_his_place() {}", "his"),
        ("docs/a.md", "# A\n\nHe is redirected.", "He"),
        ("README.md", "A listener and his player.", "his"),
    ];
    for (path, text, word) in planted {
        let found = breaches(path, text);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].contains(&format!("`{word}`")), "{found:?}");
    }
}

#[test]
fn plain_words_are_left_alone() {
    let honest = [
        (
            "src/io/a.rs",
            "/// The greeting.\n/// It is short. What it says\n/// This is.\nfn f() {}",
        ),
        (
            "src/io/a.rs",
            "/// `Who` is an enum.\n// It is no doc comment.",
        ),
        (
            "src/io/a.rs",
            "/// Itself, where the theory says so; the history of it.",
        ),
        ("docs/a.md", "Its nodes, whose listeners they are."),
        ("docs/a.md", "AAC-LC and HE-AAC."),
        ("src/io/a.rs", "const HE_AAC: &str = \"aac_he\";"),
        ("tests/whole/a.rs", "fn f() { \"his\" }"),
    ];
    for (path, text) in honest {
        let found = breaches(path, text);
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}
