//! Every command of README and docs is run, or at least understood, as it stands there.
//!
//! A block of shell is marked `sh`. What `antiphon` is told there is run against a mesh on this machine, and so are the
//! encoders; what cannot be run stands in a table with its reason, and is still read by the real parser.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/settings.rs"]
mod settings;
#[path = "docs/stage.rs"]
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use blocks::{commands, spans, take_apart, words};
use stage::{Stage, have};

/// The kinds that a block may be. One without a mark could hide a command.
const KINDS: [&str; 6] = ["sh", "text", "toml", "ini", "xml", "nginx"];

/// Programs of examples that are not run, and why.
const OTHERS: [(&str, &str); 11] = [
    (
        "make",
        "it would run this test; its target must be one of the Makefile",
    ),
    ("useradd", "it changes the machine"),
    ("install", "it changes the machine"),
    ("chown", "it needs the user that useradd makes"),
    ("chmod", "it needs the file of another example"),
    ("nft", "it changes the machine's firewall"),
    (
        "dig",
        "it asks addresses that stand for the reader's; tests/whole/dns.rs asks real ones",
    ),
    (
        "goaccess",
        "its logs stand for the reader's; tests/whole/logs reads real ones",
    ),
    ("encoder", "it stands for any program that writes a stream"),
    (
        "gst-launch-1.0",
        "its file is Ogg; tests/whole/players.rs runs it as a player",
    ),
    ("oggfwd", "it is no package of the machines that run tests"),
];

/// Beginnings of `antiphon` commands that are read, not run, and why.
const ONLY_READ: [(&str, &str); 6] = [
    (
        "node forget",
        "it needs a dead node; tests/whole/membership.rs has one",
    ),
    (
        "listeners kill",
        "it needs the id of a listener; tests/whole/audience.rs has some",
    ),
    (
        "cert enable",
        "it would ask an authority of the internet; tests/whole/certificates has one here",
    ),
    (
        "cert import",
        "it needs the files of a certificate; tests/whole/certificates has some",
    ),
    (
        "import icecast.xml",
        "it needs that file; tests/whole/moving_in.rs has one",
    ),
    (
        "demo",
        "it runs until it is stopped; tests/whole tries meshes",
    ),
];

/// The text between backticks that begins like a command and is none, and what it is.
const NO_COMMANDS: [(&str, &str); 2] = [
    (
        "antiphon 1 CHECKSUM",
        "the first line of a file in the data directory",
    ),
    ("antiphon proof of an address", "what a key is derived for"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README first: its commands make the mesh that all others are for.
fn pages() -> Vec<(String, String)> {
    let mut docs: Vec<PathBuf> = ["docs", "docs/decisions"]
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    docs.sort();
    docs.insert(0, root().join("README.md"));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    };
    docs.into_iter().map(read).collect()
}

/// Asks the real parser about a command, its placeholders being what they stand for.
fn parse(words: &[String]) -> Result<(), clap::Error> {
    let words = words.iter().map(|word| match word.as_str() {
        "N" => "1".to_owned(),
        "NAME" => "name".to_owned(),
        word => word.replace('…', "x").replace("PORT", "8000"),
    });
    let parsed = antiphon::cli::grammar().try_get_matches_from(words);
    parsed.map(drop)
}

/// Runs one command, or says why it is not run.
fn try_out(stage: &mut Stage, words: &[String]) -> Option<&'static str> {
    if words[0] != "antiphon" {
        return try_other(stage, words);
    }
    let read = parse(words);
    assert!(read.is_ok(), "{words:?}: {read:?}");
    let told = words[1..].join(" ");
    let only_read = ONLY_READ
        .iter()
        .find(|(beginning, _)| told.starts_with(beginning));
    if let Some((_, why)) = only_read {
        return Some(why);
    }
    match words[1].as_str() {
        "run" => stage.run_node(words),
        "source" => stage.send(words, mount_of(words)),
        _ => {
            let output = stage.run(words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{words:?}: {said}");
        }
    }
    None
}

fn try_other(stage: &mut Stage, words: &[String]) -> Option<&'static str> {
    let program = words[0].as_str();
    if program == "make" {
        let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
        let target = format!("\n{}:", words[1]);
        assert!(makefile.contains(&target), "no target {}", words[1]);
    }
    if program == "ffmpeg" || program == "curl" {
        match have(program) {
            true => stage.send(words, mount_of(words)),
            false => return Some("it is not installed"),
        }
        return None;
    }
    let known = OTHERS.iter().find(|(known, _)| *known == program);
    let (_, why) = known.unwrap_or_else(|| panic!("{words:?}: run it, or say in OTHERS why not"));
    Some(why)
}

/// The mount in the URL at the end of a source's command.
fn mount_of(words: &[String]) -> &str {
    let url = words.last().unwrap();
    let (_, behind) = url.split_once("://").unwrap();
    &behind[behind.find('/').unwrap()..]
}

#[test]
fn every_command_of_the_pages_runs_or_is_excused() {
    let (mut stage, mut ran) = (Stage::new(), 0);
    for (page, text) in pages() {
        let (blocks, _) = take_apart(&text);
        for block in blocks {
            let place = format!("{page}:{}", block.line);
            assert!(
                KINDS.contains(&block.kind.as_str()),
                "{place}: mark it as one of {KINDS:?}"
            );
            if block.kind != "sh" {
                continue;
            }
            for words in commands(&block.text) {
                println!("{place}: {}", words.join(" "));
                match try_out(&mut stage, &words) {
                    Some(why) => println!("    not run: {why}"),
                    None => ran += 1,
                }
            }
        }
    }
    println!("{ran} commands ran");
    assert!(ran >= 20, "only {ran} commands ran");
}

#[test]
fn every_command_in_a_sentence_exists() {
    // A sentence may leave out what a command needs besides.
    let unfinished = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
    ];
    let (mut read, mut wrong) = (0, Vec::new());
    for (page, text) in pages() {
        let (_, sentences) = take_apart(&text);
        let spans = spans(&sentences).filter(|span| span.starts_with("antiphon "));
        for span in spans.filter(|span| NO_COMMANDS.iter().all(|(known, _)| known != span)) {
            read += 1;
            match parse(&words(span)) {
                Err(error) if !unfinished.contains(&error.kind()) => {
                    wrong.push(format!("{page}: `{span}`: {error}"));
                }
                _ => {}
            }
        }
    }
    println!("{read} commands in sentences");
    assert!(wrong.is_empty() && read > 20, "{}", wrong.join("\n"));
}

#[test]
fn the_synopsis_names_only_existing_flags() {
    let grammar = antiphon::cli::grammar();
    let (blocks, _) = take_apart(&fs::read_to_string(root().join("README.md")).unwrap());
    let synopsis = blocks
        .iter()
        .find(|it| it.text.starts_with("antiphon run "));
    let text = &synopsis.expect("README has a synopsis").text;
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    for flag in words.filter_map(|word| word.strip_prefix("--")) {
        assert!(
            has_flag(&grammar, flag),
            "--{flag} is no flag of any command"
        );
    }
}

fn has_flag(command: &clap::Command, flag: &str) -> bool {
    let own = command
        .get_arguments()
        .any(|it| it.get_long() == Some(flag));
    own || command.get_subcommands().any(|it| has_flag(it, flag))
}

/// The layers of `src`, with which a path in a page may begin.
const LAYERS: [&str; 10] = [
    "cli", "io", "logic", "media", "model", "node", "proto", "service", "settings", "wire",
];

/// Whether a path in a page, from `src` or from the top, leads to a file or a folder.
fn leads_somewhere(path: &str) -> bool {
    let path = path
        .strip_prefix("src/")
        .unwrap_or(path)
        .trim_end_matches(['/', '*']);
    let below = root().join("src").join(path);
    below.exists() || below.with_extension("rs").is_file()
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut lost = Vec::new();
    let mut named = 0;
    for (page, text) in pages() {
        for span in spans(&text) {
            let path = span.strip_prefix("src/").unwrap_or(span);
            let layer = path.split('/').next().unwrap_or_default();
            let is_path =
                path.contains('/') && !path.contains(|c: char| c.is_whitespace() || c == '<');
            if !is_path || !LAYERS.contains(&layer) {
                continue;
            }
            named += 1;
            if !leads_somewhere(path) {
                lost.push(format!("{page}: {span}"));
            }
        }
    }
    assert!(named > 40, "only {named} are named");
    assert!(lost.is_empty(), "{lost:#?}");
}
