//! `antiphon import icecast.xml --dry-run`: what is made of configurations as radios have them, and of what is none.
//!
//! Beside each of `tests/moving_in/*.xml` lies what is said of it. `ANTIPHON_WRITE_MOVING_IN=1` writes that anew.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the program without the settings of this machine.
fn antiphon(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.env_clear().env("HOME", home);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(arguments).output().unwrap()
}

fn configurations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moving_in");
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut xml: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|it| it == "xml"))
        .collect();
    xml.sort();
    xml
}

/// The answer to a configuration.
fn told(home: &Path, xml: &Path) -> String {
    let name = xml.file_name().unwrap().to_str().unwrap();
    let output = antiphon(
        home,
        &["import", &format!("tests/moving_in/{name}"), "--dry-run"],
    );
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && complaint.is_empty(),
        "{name}: {complaint}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_made_of_each_configuration_is_as_it_is_written_down() {
    let home = tempfile::tempdir().unwrap();
    let all = configurations();
    assert!(all.len() >= 20, "{}", all.len());
    for xml in all {
        let (told, beside) = (told(home.path(), &xml), xml.with_extension("txt"));
        if std::env::var_os("ANTIPHON_WRITE_MOVING_IN").is_some() {
            fs::write(&beside, &told).unwrap();
        }
        let written = fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(told, written, "{}", xml.display());
    }
}

#[test]
fn no_password_is_shown() {
    let home = tempfile::tempdir().unwrap();
    for xml in configurations() {
        let text = String::from_utf8_lossy(&fs::read(&xml).unwrap()).into_owned();
        let told = told(home.path(), &xml);
        let words = text.split("password>").skip(1).step_by(2);
        for secret in words.filter_map(|rest| rest.split_once("</").map(|(word, _)| word)) {
            let shown = told
                .split(|it: char| !it.is_alphanumeric())
                .any(|word| word == secret);
            assert!(
                secret.len() < 4 || secret == "hackme" || !shown,
                "{}: {secret}",
                xml.display()
            );
        }
    }
}

#[test]
fn the_settings_are_those_of_a_node() {
    let home = tempfile::tempdir().unwrap();
    for xml in configurations() {
        let told = told(home.path(), &xml);
        let Some((_, settings)) = told.split_once("(antiphon run --config FILE):\n\n") else {
            continue;
        };
        let settings = settings.split("\n\n").next().unwrap();
        let file = home.path().join("antiphon.toml");
        fs::write(&file, settings).unwrap();
        let file = file.to_str().unwrap();
        // The settings are read and checked; then the node ends, because it can keep nothing.
        let nowhere = ["--data-dir", "/dev/null/nowhere"];
        let output = antiphon(
            home.path(),
            &[&["run", "--config", file], &nowhere[..]].concat(),
        );
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(
            complaint.contains("/dev/null/nowhere"),
            "{}: {complaint}\n{settings}",
            xml.display()
        );
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = home.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let missing = home.path().join("missing.xml").to_str().unwrap().to_owned();
    for (file, why) in [
        (missing, "cannot read"),
        (write("empty.xml", ""), "not XML"),
        (write("cut.xml", "<icecast><limits>"), "not XML"),
        (write("page.xml", "<html/>"), "its first element is <html>"),
        (
            write(
                "entities.xml",
                "<!DOCTYPE a [<!ENTITY b \"c\">]><icecast>&b;</icecast>",
            ),
            "not XML",
        ),
        (write("long.xml", &" ".repeat(5 << 20)), "more than 4 MiB"),
    ] {
        let output = antiphon(home.path(), &["import", &file, "--dry-run"]);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{file}: {complaint}");
        assert!(
            complaint.contains(why) && complaint.contains(&file),
            "{file}: {complaint}"
        );
    }
    for (arguments, why) in [
        (&["import"][..], "name an icecast.xml"),
        (&["import", "a.xml", "show"], "write one of them"),
        (&["import", "--dry-run"], "ICECAST_XML"),
    ] {
        let output = antiphon(home.path(), arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert!(complaint.contains(why), "{arguments:?}: {complaint}");
    }
}
