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
#[path = "layers/words.rs"]
mod words;

/// The folders that are read, below the manifest's.
const ROOTS: [&str; 4] = ["src", "benches", "tests", "simulations"];

/// From the words up. A module names only what stands on a lower line, or itself.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["settings"],
    &["logic", "media", "wire"],
    &["io"],
    &["service"],
    &["node"],
    &["cli"],
    &["main"],
];

/// The layer that decides, and never touches the world.
const PURE: [&str; 3] = ["logic", "media", "wire"];

/// What would give a pure module a task, a socket, a clock, chance or a disk.
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

/// What would make a simulation's seed mean nothing: the order of a hash differs in each run.
const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

/// A word, and the only places below `src` that may say it: a file without its ending, or a folder.
const OWNERS: [(&str, &[&str]); 7] = [
    // Inside, an error belongs to its operation. The gossip's crate asks for it in a trait.
    ("anyhow", &["main", "cli", "settings", "node", "io/gossip"]),
    // Its maintenance has ended (see deny.toml): to replace it must stay a day's work.
    ("bincode", &["wire/frame"]),
    // Answers of strangers are read in one place, with its bounds.
    ("roxmltree", &["wire/outside"]),
    // It is pinned to one version, for its byte encoding.
    ("chitchat", &["io/gossip"]),
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

/// What a reader still keeps in mind; the house asks for 150 to 400.
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
    if own == "logic" {
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

#[test]
fn a_planted_circle_is_caught() {
    let one_way = [
        ("src/logic/mod.rs", "pub mod a; pub mod b; pub mod c;"),
        ("src/logic/a.rs", "use super::b; pub struct A;"),
        ("src/logic/b.rs", "pub struct B; mod x {}"),
        (
            "src/logic/c/mod.rs",
            "mod d; pub use self::d::D; fn f() { d::f() }",
        ),
        ("src/logic/c/d.rs", "use super::C; pub struct D;"),
        ("simulations/src/a.rs", "use antiphon::logic::c::D;"),
    ];
    let backs = [
        (
            "src/logic/e.rs",
            "fn f() -> super::c::D {}",
            "src/logic/c/d.rs",
            "use crate::logic::{e as f};",
        ),
        (
            "src/logic/e.rs",
            "use super::a::A;",
            "src/logic/b.rs",
            "use crate::{logic::{e::{self, E}, c}};",
        ),
        (
            "src/logic/e.rs",
            "use super::c::D;",
            "src/logic/c/mod.rs",
            "use super::e; pub use self::d::D;",
        ),
        (
            "simulations/src/b.rs",
            "use crate::a::A;",
            "simulations/src/a.rs",
            "fn f() { super::b::g() }",
        ),
    ];
    let house = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
        let all = one_way.iter().chain(more);
        let planted = all.map(|(path, code)| ((*path).to_owned(), (*code).to_owned()));
        planted.collect()
    };
    assert!(circles(&house(&[])).is_empty());
    for (new, code, old, back) in backs {
        assert!(circles(&house(&[(new, code)])).is_empty(), "{new}: {code}");
        let found = circles(&house(&[(new, code), (old, back)]));
        assert_eq!(found.len(), 1, "{new}: {code}, {old}: {back}: {found:?}");
        let circle = found.first().expect("one was found");
        assert!(circle.iter().any(|file| file == new) && circle.iter().any(|file| file == old));
    }
}

/// The breaches of a file that is well shaped but for its code.
fn breaches_of_code(path: &str, code: &str) -> Vec<String> {
    breaches(path, &format!("//! A planted breach.\n{code}\n"))
}

#[test]
fn each_planted_breach_is_caught() {
    let planted = [
        (
            "src/model/a.rs",
            "use crate::settings::Settings;",
            "settings",
        ),
        (
            "src/logic/a.rs",
            "use crate::{model::node, io::clock};",
            "io",
        ),
        ("src/logic/a.rs", "use crate::wire::frame;", "wire"),
        ("src/logic/a.rs", "use super::super::media::ring;", "media"),
        ("src/media/mod.rs", "use super::service;", "service"),
        (
            "src/logic/a.rs",
            "use crate::settings::Settings;",
            "settings",
        ),
        (
            "src/io/a.rs",
            "fn f() { crate::service::load::f() }",
            "service",
        ),
        (
            "src/service/a/b.rs",
            "use super::super::super::node;",
            "node",
        ),
        ("src/node/a.rs", "use crate::cli;", "cli"),
        ("src/main.rs", "fn main() { antiphon::node::run() }", "node"),
        (
            "src/logic/a.rs",
            "#[cfg(test)] mod tests { use crate::io; }",
            "io",
        ),
        ("src/wire/a.rs", "use tokio::sync::mpsc;", "tokio"),
        (
            "src/logic/a.rs",
            "fn f() { rand::rng().random() }",
            "rand::rng",
        ),
        ("src/logic/a.rs", "use rand::{Rng, rng};", "rand::rng"),
        (
            "src/media/a.rs",
            "use std::net::{IpAddr, UdpSocket};",
            "UdpSocket",
        ),
        (
            "src/wire/a.rs",
            "fn f() { SystemTime::now(); }",
            "SystemTime::now",
        ),
        (
            "src/logic/a.rs",
            "fn f() { std::time::Instant::now(); }",
            "Instant::now",
        ),
        ("src/media/a.rs", "use std::{fmt, fs};", "std::fs"),
        (
            "src/logic/a.rs",
            "use std::collections::HashMap;",
            "HashMap",
        ),
        (
            "src/io/link/a.rs",
            "fn f() -> anyhow::Result<()> {}",
            "anyhow",
        ),
        ("src/io/disk/a.rs", "use bincode::config;", "bincode"),
        ("src/service/a.rs", "use chitchat::NodeId;", "chitchat"),
        (
            "src/io/a.rs",
            "fn f() { tokio::spawn(g()); }",
            "tokio::spawn",
        ),
        ("src/io/a.rs", "use tokio::{net, spawn};", "tokio::spawn"),
        (
            "src/node/a.rs",
            "fn f() { task::spawn(g()); }",
            "task::spawn",
        ),
        (
            "src/service/front.rs",
            "fn f() { stream.write_all(b); }",
            "write_all",
        ),
        ("src/io/utils.rs", "", "utils"),
        ("tests/common/mod.rs", "", "common"),
        ("src/io.rs", "", "src/io/mod.rs"),
    ];
    for (path, code, word) in planted {
        let found = breaches_of_code(path, code);
        assert_eq!(found.len(), 1, "{path}: {code}: {found:?}");
        assert!(found[0].contains(&format!("`{word}`")), "{found:?}");
    }
}

#[test]
fn a_file_without_a_purpose_or_an_end_is_caught() {
    for text in [
        "",
        "use std::fmt;\n",
        "\n//! Too late.\n",
        "/// Not the file.\n",
    ] {
        assert_eq!(breaches("tests/a.rs", text).len(), 1, "{text:?}");
    }
    let long = format!("//! Long.\n{}", "\n".repeat(MOST_LINES));
    assert_eq!(breaches("simulations/src/a.rs", &long).len(), 1);
    assert!(breaches("src/io/a.rs", &long[..long.len() - 1]).is_empty());
}

#[test]
fn honest_code_is_left_alone() {
    let honest = [
        (
            "src/logic/a.rs",
            "use crate::{logic::b, model::seat::{Claim, Seat}};",
        ),
        (
            "src/logic/a/b.rs",
            "use super::super::media; // logic's own `media`",
        ),
        (
            "src/cli/a.rs",
            "use crate::{node, settings}; use anyhow::Context;",
        ),
        ("src/main.rs", "fn main() { antiphon::cli::main() }"),
        ("src/wire/frame/limit.rs", "use bincode::config;"),
        (
            "src/io/gossip.rs",
            "use chitchat::transport; use anyhow::Error;",
        ),
        ("src/logic/a.rs", "// tokio::spawn is for others\nfn f() {}"),
        ("src/logic/a.rs", "/* crate::io */ fn f() -> char { '\"' }"),
        (
            "src/wire/a.rs",
            "const A: &str = r#\"tokio::x \"TcpStream\" \"#;",
        ),
        (
            "src/wire/a.rs",
            "fn f<'a>(a: &'a str) -> &'a str { \"\\\"std::fs\" }",
        ),
        (
            "src/logic/a.rs",
            "use rand::rngs::SmallRng; use std::time::Instant;",
        ),
        (
            "src/logic/a.rs",
            "#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }",
        ),
        (
            "src/io/a.rs",
            "fn f() { tracker.spawn(g()); task::spawn_blocking(h); }",
        ),
        (
            "src/io/a.rs",
            "use std::collections::HashMap; use tokio::net;",
        ),
    ];
    for (path, code) in honest {
        let found = breaches_of_code(path, code);
        assert!(found.is_empty(), "{code}: {found:?}");
    }
}

#[test]
fn code_below_a_test_module_is_read_again() {
    let code = "#[cfg(test)] mod tests { fn f() { tokio::x() } } use tokio::net;";
    assert_eq!(breaches_of_code("src/logic/a.rs", code).len(), 1);
}
