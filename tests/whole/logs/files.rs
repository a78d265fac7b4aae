//! The files of the logs: by size, after a rename, and where nothing can be written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::{log, requests};
use crate::support::http;
use crate::support::node::{Setup, TestNode};
use crate::support::patience::{PATIENCE, eventually, so};

/// How many requests are noted under load; with such an agent they fill some six files.
const REQUESTS: usize = 12_000;
/// The most requests of one connection.
const OF_ONE_CONNECTION: usize = 900;

/// Asks for a numbered path that is not there, over and over.
fn ask_numbered(node: &TestNode, numbers: std::ops::Range<usize>) {
    let agent = "x".repeat(400);
    for first in numbers.clone().step_by(OF_ONE_CONNECTION) {
        let mut connection = node.connect();
        for number in first..(first + OF_ONE_CONNECTION).min(numbers.end) {
            let ask = format!("GET /{number} HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n");
            connection.send(ask).unwrap();
            let head = connection.head().unwrap();
            connection.body(&head).unwrap();
        }
    }
}

/// The numbers of the requests in a log, which must be whole lines.
fn numbers(text: &str) -> Vec<usize> {
    let number = |line: &str| {
        let path = line.split("GET /").nth(1)?;
        path.split(' ').next()?.parse().ok()
    };
    text.lines().filter_map(number).collect()
}

/// All logs of requests in a folder, together.
fn all_logs(folder: &Path) -> (usize, String) {
    // The node makes the folder, a moment after its start.
    let files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let names = files
        .iter()
        .filter(|it| it.file_name().to_string_lossy().starts_with("access.log"));
    let texts: Vec<String> = names
        .map(|it| fs::read_to_string(it.path()).unwrap_or_default())
        .collect();
    (texts.len(), texts.concat())
}

#[test]
fn no_request_is_lost_when_files_are_begun_anew_under_load() {
    let node = Setup::named("n1")
        .configured("[logs]\nmax_mib = 1\nkeep = 50\n")
        .start();
    let quarter = REQUESTS / 4;
    std::thread::scope(|scope| {
        for part in 0..4 {
            let node = &node;
            scope.spawn(move || ask_numbered(node, part * quarter..(part + 1) * quarter));
        }
    });
    let folder = node.data_dir().join("logs");
    let look = || {
        let noted = numbers(&all_logs(&folder).1).len();
        so(noted >= REQUESTS, noted)
    };
    eventually(PATIENCE, "all are noted", look);
    let (files, text) = all_logs(&folder);
    let noted = numbers(&text);
    let different: BTreeSet<usize> = noted.iter().copied().collect();
    assert_eq!((noted.len(), different.len()), (REQUESTS, REQUESTS));
    assert!(files >= 6, "{files}");
    for file in fs::read_dir(&folder).unwrap().flatten() {
        assert!(file.metadata().unwrap().len() <= 1 << 20, "{file:?}");
    }
    assert!(!node.log().contains("could be written"), "nothing was lost");
}

#[test]
fn a_renamed_file_is_written_until_the_reload_and_a_new_one_after_it() {
    let node = Setup::named("n1").start();
    let folder = node.data_dir().join("logs");
    let wait_noted = |number: usize| {
        let look = || {
            let text = all_logs(&folder).1;
            so(numbers(&text).contains(&number), text)
        };
        eventually(PATIENCE, "the request is noted", look);
    };
    ask_numbered(&node, 0..1);
    wait_noted(0);
    fs::rename(folder.join("access.log"), folder.join("access.log.old")).unwrap();
    ask_numbered(&node, 1..2);
    wait_noted(1);
    assert!(!folder.join("access.log").exists());
    // Its line may still be on its way when the signal comes, and goes to one of the files.
    ask_numbered(&node, 2..3);
    node.signal(Signal::HUP);
    eventually(PATIENCE, "there is a new file", || {
        so(folder.join("access.log").exists(), "none")
    });
    ask_numbered(&node, 3..4);
    wait_noted(3);
    let (old, new) = (log(&node, "access.log.old"), log(&node, "access.log"));
    assert_eq!(numbers(&old)[..2], [0, 1]);
    assert_eq!(numbers(&new).last(), Some(&3));
    assert_eq!(numbers(&(old + &new)), [0, 1, 2, 3]);
    // As logrotate does it with `copytruncate`.
    let file = fs::File::options()
        .write(true)
        .open(folder.join("access.log"));
    file.unwrap().set_len(0).unwrap();
    ask_numbered(&node, 4..5);
    wait_noted(4);
    assert_eq!(numbers(&log(&node, "access.log")), [4]);
}

#[test]
fn where_nothing_can_be_written_the_node_says_so_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::write(&logs, "a file where the folder should be").unwrap();
    let node = Setup::named("n1")
        .configured(&format!("[logs]\nfolder = '{}'\n", logs.display()))
        .start();
    let trouble = || node.opinion_of("n1").and_then(|it| it.logs);
    eventually(PATIENCE, "the status says it", || {
        trouble().ok_or("nothing")
    });
    assert!(
        trouble().unwrap().contains("is not written: "),
        "{trouble:?}",
        trouble = trouble()
    );
    let warned = || node.log().matches("a log is not written").count();
    assert_eq!(warned(), 2, "once for each");
    ask_numbered(&node, 0..50);
    assert_eq!(
        http::get(&node.address(), "/readyz").unwrap().head.status,
        200
    );
    let shown = node.command("status", &[]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("it serves all the same"), "{shown}");
    fs::remove_file(&logs).unwrap();
    node.signal(Signal::HUP);
    eventually(PATIENCE, "the status is clear", || {
        so(trouble().is_none(), format!("{:?}", trouble()))
    });
    ask_numbered(&node, 50..51);
    eventually(PATIENCE, "it is written again", || {
        let text = fs::read_to_string(logs.join("access.log")).unwrap_or_default();
        so(numbers(&text).contains(&50), text.len())
    });
    assert_eq!(warned(), 2);
    let log = node.log();
    assert!(
        log.contains("a log is written again") && log.contains("lines_lost="),
        "{log}"
    );
}

#[test]
fn the_settings_of_the_logs_are_taken_over_by_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, "[logs]\naccess = false\n").unwrap();
    let node = Setup::named("n1")
        .with(&["--config", settings.to_str().unwrap()])
        .start();
    ask_numbered(&node, 0..1);
    let elsewhere = folder.path().join("elsewhere");
    let words = format!(
        "[logs]\nfolder = '{}'\naddress_privacy = 'full'\n",
        elsewhere.display()
    );
    fs::write(&settings, words).unwrap();
    node.signal(Signal::HUP);
    let file = elsewhere.join("access.log");
    eventually(PATIENCE, "the other folder is there", || {
        so(file.exists(), "none")
    });
    ask_numbered(&node, 1..2);
    eventually(PATIENCE, "it is written", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        so(
            numbers(&text) == [1] && text.starts_with("127.0.0.1 "),
            text,
        )
    });
    assert!(requests(&node).is_empty(), "none was noted before");
    assert!(!node.log().contains("need a restart"), "{}", node.log());
}
