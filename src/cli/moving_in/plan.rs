//! The mesh that an `icecast.xml` would make: settings, passwords, mounts, and what of the file has no counterpart.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::terminal::printable;
use crate::model::mount::MountName;
use crate::wire::icecast::config_file::ConfigElement;

/// The settings of one mount, as they would be written behind `antiphon mount set`.
#[derive(Debug, Default)]
pub(super) struct PlannedMount {
    pub(super) fields: BTreeMap<&'static str, String>,
}

/// A word on one line of the file.
#[derive(Debug)]
pub(super) struct Remark {
    pub(super) line: u32,
    pub(super) element: String,
    pub(super) words: String,
}

/// All that is made of a file.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The keys of a node's settings file, and their values in TOML.
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) admin_password: Option<String>,
    pub(super) relay_password: Option<String>,
    /// The settings of `antiphon import set`.
    pub(super) import: BTreeMap<&'static str, String>,
    pub(super) mounts: BTreeMap<MountName, PlannedMount>,
    remarks: Vec<Remark>,
}

impl Plan {
    /// Notes what becomes of an element that is not simply taken over.
    pub(super) fn remark(&mut self, element: &ConfigElement, words: impl Into<String>) {
        self.remarks.push(Remark {
            line: element.line,
            element: element.name.clone(),
            words: words.into(),
        });
    }

    /// Sets a text in the settings of the node.
    pub(super) fn set_text(&mut self, key: &'static str, text: &str) {
        self.set(key, toml::Value::from(text).to_string());
    }

    /// Sets a value, in TOML, in the settings of the node. The first one stays.
    pub(super) fn set(&mut self, key: &'static str, value: String) {
        if self.settings.iter().all(|(known, _)| *known != key) {
            self.settings.push((key, value));
        }
    }

    /// The lines for the settings file of a node.
    pub(super) fn settings_file(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.settings {
            _ = writeln!(text, "{key} = {value}");
        }
        text
    }

    /// The words on the lines of the file, in their order.
    pub(super) fn remarks(&self) -> String {
        let mut remarks: Vec<&Remark> = self.remarks.iter().collect();
        remarks.sort_by_key(|remark| remark.line);
        let mut text = String::new();
        for Remark {
            line,
            element,
            words,
        } in remarks
        {
            _ = writeln!(
                text,
                "line {line}: <{}>: {}",
                printable(element),
                printable(words)
            );
        }
        text
    }
}
