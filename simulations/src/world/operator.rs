//! The operator of a world: makes the mounts, and changes records now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon::logic::records::mounts;
use antiphon::logic::records::mounts::MOUNT_KIND;
use antiphon::model::mount::MountName;
use antiphon::model::record::Value;
use antiphon::model::record::key::RecordKey;
use rand::Rng;
use rand::seq::IteratorRandom;

use super::World;
use crate::happening::Happening;
use crate::node::{Edit, Event, WorldJobs};

/// The records that are written, deleted and written again: few, so that they meet.
const RECORDS: u32 = 5;
/// One edit of so many deletes.
const DELETE_ONE_IN: u32 = 4;
/// A hash that no password has; nobody checks passwords in here.
const NO_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
/// A key of gossip, and a field of records, that only a newer version knows.
const NEWER: &str = "colour";

impl World {
    /// The first node makes the mounts, as soon as it runs; a newer version says what others do not know.
    pub(super) fn open_for_business(&mut self, node: usize) {
        if self.hosts[node].is_newer {
            self.say(node, NEWER, "blue");
        }
        if self.plan.other_seats() > 0 {
            let jobs = WorldJobs {
                outside: self.plan.outside_seats(),
                transcoded: self.plan.transcoded(),
            };
            self.step(node, Event::Jobs(jobs));
            self.show_tools(node);
        }
        let is_first = node == 0 && self.hosts[node].life == 1;
        if let Some(streams) = self.plan.streams.filter(|_| is_first) {
            let mounts = self.mounts.clone();
            for mount in mounts.iter().rev() {
                // The second one is there by then.
                let fallback = match mounts.get(1) {
                    Some(second) if streams.falls_back && mounts.first() == Some(mount) => {
                        second.as_str()
                    }
                    _ => "",
                };
                let changes = MOUNT_KIND.changes([
                    ("password", NO_PASSWORD),
                    ("linger_s", &streams.linger_s.to_string()),
                    ("takeover", streams.takeover.word()),
                    ("standby", &streams.standby.to_string()),
                    ("fallback", fallback),
                ]);
                let fields = changes.expect("a plan has valid settings").into_fields();
                let edit = Edit::Set(mounts::key(mount), fields);
                self.step(node, Event::Edit(edit));
            }
        }
    }

    /// A node says what it can transcode.
    pub(crate) fn show_tools(&mut self, node: usize) {
        let card = self.hosts[node].tools.card();
        self.step(node, Event::Transcoding(card));
    }

    pub(super) fn schedule_edit(&mut self) {
        if self.plan.edits_per_minute > 0.0 {
            let mean = Duration::from_secs(60).div_f64(self.plan.edits_per_minute);
            let after = self.exponential(mean);
            self.schedule(self.now + after, Happening::Edit);
        }
    }

    /// Changes some record at some node.
    pub(super) fn edit(&mut self) {
        self.schedule_edit();
        let hosts = self.hosts.iter().enumerate();
        let running = hosts.filter(|(_, host)| host.running().is_some());
        let Some((node, _)) = running.choose(&mut self.rng) else {
            return;
        };
        let number = self.rng.random_range(0..RECORDS);
        let path = MountName::try_from(format!("/e{number}")).expect("a plain path");
        let key = mounts::key(&path);
        let edit = if self.rng.random_range(0..DELETE_ONE_IN) == 0 {
            Edit::Delete(key)
        } else {
            self.writing(node, key)
        };
        self.step(node, Event::Edit(edit));
    }

    fn writing(&mut self, node: usize, key: RecordKey) -> Edit {
        let unique = format!("{}", self.serial);
        let mut fields = BTreeMap::new();
        let names = ["name", "genre", "description"].into_iter();
        let names = names.chain(self.hosts[node].is_newer.then_some(NEWER));
        for name in names {
            if self.rng.random() {
                fields.insert(name.to_owned(), Value::Text(unique.clone()));
            }
        }
        fields.insert("url".to_owned(), Value::Text(String::new()));
        Edit::Set(key, fields)
    }
}
