//! The rules of the house that no compiler keeps: layers, purity, who may name what, and shape.
//!
//! A rule reads words, not types. Comments, strings and test modules are blanked out first, so that
//! a file may speak of what it must not use, and a test may use what the code must not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use circles::circles;
use words::{followers, mentions, without_comments_and_strings, without_tests};

// In a folder of their own, because each file right in `tests` is a test.
#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/language.rs"]
mod language;
#[path = "layers/names.rs"]
mod names;
#[path = "layers/planted.rs"]
mod planted;
#[path = "layers/words.rs"]
mod words;

/// The folders that are read, below the manifest's.
const ROOTS: [&str; 4] = ["src", "benches", "tests", "simulations"];

/// From the words up. A module names only what stands on a lower line, or itself.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["settings"],
    &["logic", "media", "wire"],
    &["proto"],
    &["io"],
    &["service"],
    &["node"],
    &["cli"],
    &["main"],
];

/// The layers that decide, and never touch the world.
const PURE: [&str; 4] = ["logic", "media", "wire", "proto"];

/// The words that would give a pure module a task, a socket, a clock, chance or a disk.
const IMPURE: [&str; 16] = [
    "tokio",
    "tokio_util",
    "rand::rng",
    "rand::random",
    "rand::thread_rng",
    "getrandom",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime::now",
    "Instant::now",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::io::stdin",
];

/// The types that would make a simulation's seed mean nothing: the order of a hash differs in each run.
const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

/// A word, and the only places below `src` that may say it: a file without its ending, or a folder.
const OWNERS: [(&str, &[&str]); 8] = [
    // Inside, an error belongs to its operation. The gossip's crate asks for it in a trait.
    ("anyhow", &["main", "cli", "settings", "node", "io/gossip"]),
    // Its maintenance has ended (see deny.toml): to replace it must stay a day's work.
    ("bincode", &["wire/frame"]),
    // Answers of strangers are read in one place, with its bounds; files of another server in one other.
    ("roxmltree", &["wire/outside", "wire/icecast/config_file"]),
    // It is pinned to one version, for its byte encoding.
    ("chitchat", &["io/gossip"]),
    // Its errors are turned into words for operators in one place.
    ("instant_acme", &["io/acme"]),
    // What it reads comes from others, and may be damaged: there that is looked after.
    ("maxminddb", &["io/geo"]),
    // What it is asked is bytes of strangers: one folder to look through.
    ("hickory_proto", &["wire/dns"]),
    // Whoever writes an answer and waits needs a limit: the door's is in `io/answer`.
    ("write_all", &["io", "cli"]),
];

/// Spawning past the `TaskTracker` leaves a task that nobody waits for at the end.
const UNTRACKED: [&str; 2] = ["tokio::spawn", "task::spawn"];

/// A thing that lives in a drawer has not been understood.
const DRAWERS: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

/// The most lines that a reader still keeps in mind; the house asks for 150 to 400.
const MOST_LINES: usize = 500;

/// Every rule that the file at `path`, relative to the manifest's folder, breaks.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let code = without_comments_and_strings(text);
    let shipped = match is_test(path) {
        true => String::new(),
        false => without_tests(&code),
    };
    let mut found = shape(path, text);
    if let Some(place) = path.strip_prefix("src/") {
        found.extend(upward_imports(place, &code, &shipped));
        found.extend(impurities(place, &shipped));
        found.extend(trespasses(place, &shipped));
    }
    found.iter().map(|rule| format!("{path}: {rule}")).collect()
}

/// Whether a file is the test module of its folder, in a room of its own.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn shape(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut parts = path.trim_end_matches(".rs").split('/');
    if let Some(drawer) = parts.find(|part| DRAWERS.contains(part)) {
        found.push(format!("`{drawer}` is a drawer, not a home"));
    }
    let folder = path.trim_end_matches(".rs");
    if !path.starts_with("tests/") && Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).is_dir() {
        found.push(format!("a module with parts is `{folder}/mod.rs`"));
    }
    if !text.starts_with("//! ") {
        found.push("the first line does not say with `//!` what the file is for".to_owned());
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{lines} lines, at most {MOST_LINES}"));
    }
    found
}

fn upward_imports(place: &str, code: &str, shipped: &str) -> Vec<String> {
    let own = top(place);
    let mut named = followers(code, "crate");
    named.extend(followers(code, "antiphon"));
    named.extend(above_the_top(shipped, depth(place)));
    named.sort();
    named.dedup();
    let Some(own_level) = level(own) else {
        return Vec::new();
    };
    let forbidden = |other: &String| {
        let upward = level(other).is_some_and(|it| it >= own_level);
        let past_the_cli = own == "main" && other != "cli";
        let reads_settings = own == "logic" && other == "settings";
        other != own && (upward || past_the_cli || reads_settings)
    };
    let breaches = named.into_iter().filter(forbidden);
    breaches
        .map(|other| format!("`{own}` must not name `{other}`"))
        .collect()
}

fn impurities(place: &str, shipped: &str) -> Vec<String> {
    let own = top(place);
    let mut banned: Vec<&str> = Vec::new();
    if PURE.contains(&own) {
        banned.extend(IMPURE);
    }
    if own == "logic" || own == "proto" {
        banned.extend(UNORDERED);
    }
    banned.retain(|word| mentions(shipped, word));
    let say = |word: &&str| format!("`{own}` is pure and must not name `{word}`");
    banned.iter().map(say).collect()
}

fn trespasses(place: &str, shipped: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (word, owners) in OWNERS {
        let at_home = owners.iter().any(|owner| {
            let rest = place.strip_prefix(owner);
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        if !at_home && mentions(shipped, word) {
            found.push(format!("`{word}` is named only in {}", owners.join(", ")));
        }
    }
    for word in UNTRACKED {
        if mentions(shipped, word) {
            found.push(format!("`{word}`: spawn on the node's TaskTracker"));
        }
    }
    found
}

/// The module right below the crate's root that a file is in: `io` of `io/link.rs`.
fn top(place: &str) -> &str {
    let first = place.split('/').next().unwrap_or(place);
    first.trim_end_matches(".rs")
}

/// How many `super::` lead from a file to the crate's root.
fn depth(place: &str) -> usize {
    let names = place.trim_end_matches(".rs").split('/');
    names.filter(|name| *name != "mod").count()
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The names that follow exactly so many `super::` as lead to the crate's root.
fn above_the_top(shipped: &str, depth: usize) -> Vec<String> {
    followers(shipped, &vec!["super"; depth].join("::"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file of the project: its path from the manifest's folder, and its text.
fn house() -> BTreeMap<String, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for root in ROOTS {
        rust_files(&home.join(root), &mut files);
    }
    assert!(files.len() > 30, "only {} files were found", files.len());
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a source file is UTF-8");
        let path = file.strip_prefix(home).expect("it lies below the manifest");
        (path.to_string_lossy().into_owned(), text)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn the_code_keeps_the_rules_of_the_house() {
    let house = house();
    let found: Vec<String> = house
        .iter()
        .flat_map(|(path, text)| breaches(path, text))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// The code that is shipped, by the path of its file.
fn shipped(house: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let sources = house.iter().filter(|(path, _)| {
        (path.starts_with("src/") || path.starts_with("simulations/src/")) && !is_test(path)
    });
    let code = |text| without_tests(&without_comments_and_strings(text));
    sources
        .map(|(path, text)| (path.clone(), code(text)))
        .collect()
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let found = circles(&shipped(&house()));
    assert!(found.is_empty(), "{found:#?}");
}
