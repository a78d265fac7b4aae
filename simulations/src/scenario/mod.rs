//! The stories that worlds live through, read from `scenarios/*.toml`. A seed decides the details, never the rules.

mod draw;
mod file;

use std::path::Path;
use std::sync::LazyLock;

use anyhow::Context;
use rand::rngs::SmallRng;

use self::file::File;
pub use self::file::Mode;
use crate::plan::Plan;

/// A named story.
#[derive(Debug)]
pub struct Scenario {
    /// The name on the command line: that of its file.
    pub name: String,
    /// The scenario in a sentence.
    pub summary: String,
    /// How many of a thousand seeds it gets.
    pub share: u64,
    /// The purpose of its worlds.
    pub mode: Mode,
    file: File,
}

impl Scenario {
    /// Reads a story. The error says what is wrong, and in which line and column.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let file = File::parse(text).with_context(|| format!("scenario {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            summary: file.summary.clone(),
            share: file.share,
            mode: file.mode,
            file,
        })
    }

    /// Reads a story from a file.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The story of one seed.
    pub fn plan(&self, rng: &mut SmallRng) -> Plan {
        draw::plan(&self.file, rng)
    }

    /// The scenario of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        all().iter().find(|scenario| scenario.name == name)
    }
}

/// All scenarios of the folder, in the order of their names.
pub fn all() -> &'static [Scenario] {
    static ALL: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
        let read = |(name, text): &(&str, &str)| Scenario::parse(name, text);
        let scenarios: anyhow::Result<Vec<_>> = FILES.iter().map(read).collect();
        scenarios.unwrap_or_else(|error| panic!("a scenario of this program: {error:#}"))
    });
    &ALL
}

/// The files of the folder; a test sees to it that none is missing.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*];
    };
}

files![
    "bridge",
    "broken-disk",
    "bursts",
    "chaos",
    "clocks",
    "double-kill",
    "drain",
    "edits-and-partitions",
    "encoder-moves",
    "everything",
    "flapping",
    "forget",
    "guarded-partition",
    "hand-over",
    "kill-ingest",
    "kill-master",
    "kill-relay",
    "ladder",
    "liveness-guarded",
    "liveness-open",
    "lossy-hour",
    "lost-disks",
    "master-returns",
    "one-way-deaf",
    "one-way-mute",
    "outside-seats",
    "partition",
    "pause",
    "placed",
    "quick-restart",
    "rivals",
    "rolling-restart",
    "short-pause",
    "slow-node",
    "standby",
    "takeover",
    "transcoder-seats",
    "versions",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_scenario() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let entries = std::fs::read_dir(folder).unwrap();
        let names: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let known: BTreeSet<String> = all().iter().map(|it| it.name.clone()).collect();
        assert_eq!(names, known);
    }

    #[test]
    fn the_scenarios_share_a_thousand_seeds() {
        let seeds: u64 = all().iter().map(|scenario| scenario.share).sum();
        assert!(seeds >= 1_000, "{seeds}");
    }

    #[test]
    fn a_story_keeps_its_order_and_has_time_to_settle() {
        for scenario in all() {
            for seed in 0..20 {
                let plan = scenario.plan(&mut SmallRng::seed_from_u64(seed));
                let last = plan.steps.last().map_or(plan.end, |(at, _)| *at);
                assert!(plan.end >= last, "{}", scenario.name);
                assert!(plan.steps.is_sorted_by_key(|(at, _)| *at));
            }
        }
    }

    #[test]
    fn a_malformed_file_is_refused_with_its_line_and_column() {
        let good = "summary = 'x'\nshare = 1\nnodes = 3\n";
        assert!(Scenario::parse("good", good).is_ok());
        let cases = [
            ("knots = 3\n", "line 4, column 1", "knots"),
            ("drift_percent = 'a'\n", "line 4", "drift_percent"),
            (
                "[[step]]\nat_s = 0\nfault = 'crash'\n",
                "line 4, column 1",
                "who",
            ),
            ("[[step]]\nat_s = 0\nfault = 'craash'\n", "line 6", "craash"),
            (
                "\n[[step]]\nat_s = 0\nfault = 'heal'\nwho = 'master'\n",
                "line 5, column 1",
                "who",
            ),
            ("mode = 'liveness'\n", "line 4, column 1", "core"),
            ("loss = []\n", "line 4, column 8", "loss"),
            ("newer = 9\n", "line 4, column 9", "newer"),
            (
                "[players]\nper_s = 1\nstay_s = 1\nroom = [1, 2]\n",
                "line 4",
                "streams to",
            ),
            (
                "[transcoders]\nseats = 1\ncapable = 1\nroom = [2, 1]\n",
                "line 4",
                "lesser first",
            ),
            ("quiet_s = 'long'\n", "line 4, column 11", "quiet_s"),
            ("nodes =\n", "line 4", ""),
            (
                "[[step]]\nat_s = 0\nfault = 'delay'\nms = 5\n",
                "line 4, column 1",
                "two numbers",
            ),
        ];
        for (line, place, word) in cases {
            let error = Scenario::parse("bad", &format!("{good}{line}")).unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.contains(place) && error.contains(word),
                "{line}: {error}"
            );
        }
    }
}
