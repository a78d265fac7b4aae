//! Whether players could go on from one rung of a mount to another, as far as it is known now: by streams, files and names.

use std::collections::BTreeMap;

use super::on_air;
use super::view::MeshView;
use crate::logic::ladder::{self, FALLBACK, OtherFormat, SWITCHED_TO};
use crate::model::file_name::{FileName, PlayedFile};
use crate::model::format::StreamFormat;
use crate::model::format_words::format_of_words;
use crate::model::kept_file::KeptFiles;
use crate::model::mount::{MountName, MountSpec};
use crate::model::rung_name::RungName;

/// The mesh by which formats are judged.
#[derive(Clone, Copy, Debug)]
pub struct Fitting<'a> {
    /// The mounts, with one that is to be made.
    pub mounts: &'a BTreeMap<MountName, MountSpec>,
    /// The files of the document. One that was put a moment ago is there before any node has gossiped of it.
    pub files: &'a KeptFiles,
    /// The mesh as the nodes gossip it.
    pub view: &'a MeshView,
}

/// A rung, and the format that it has or promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungFormat {
    /// The rung.
    pub rung: RungName,
    format: StreamFormat,
    /// The format in words, and whether only the name says so.
    pub words: String,
}

impl RungFormat {
    fn known(rung: &RungName, format: StreamFormat) -> Self {
        Self {
            rung: rung.clone(),
            format,
            words: format.in_words(),
        }
    }

    fn fits(&self, other: &Self) -> bool {
        ladder::may_follow(self.format, other.format)
    }
}

impl Fitting<'_> {
    /// Why players could not go on between a rung that a mount gets by its fallbacks, or by those of them, and another one: of that mount,
    /// or of one that has it as a fallback.
    pub fn fallback_fault(&self, mount: &MountName) -> Option<Box<OtherFormat>> {
        let spec = self.mounts.get(mount)?;
        let own = RungName::from(mount.clone());
        let gotten = ladder::rungs(spec, self.mounts).split_off(1);
        let listed = |rungs: &[RungName]| self.ladder_fault(mount, rungs, &gotten);
        let mut others = self.mounts.values().filter(|other| other.path != *mount);
        listed(&ladder::rungs(spec, self.mounts)).or_else(|| {
            others.find_map(|other| {
                let rungs = ladder::rungs(other, self.mounts);
                rungs.contains(&own).then(|| listed(&rungs)).flatten()
            })
        })
    }

    /// Why players could not go on between two of these rungs, one of which is among those that a mount gets.
    fn ladder_fault(
        &self,
        mount: &MountName,
        rungs: &[RungName],
        gotten: &[RungName],
    ) -> Option<Box<OtherFormat>> {
        let mut before: Vec<RungFormat> = Vec::new();
        for told in rungs.iter().filter_map(|rung| self.told(mount, rung)) {
            let counts =
                |it: &&RungFormat| gotten.contains(&it.rung) || gotten.contains(&told.rung);
            let misfit = before.iter().filter(counts).find(|it| !it.fits(&told));
            if let Some(misfit) = misfit {
                return Some(fault(FALLBACK, &told, misfit));
            }
            before.push(told);
        }
        None
    }

    /// Why listeners of a mount could not go on with the rung to which it is to be switched. The name of the mount counts only
    /// as long as nothing of it is on air, and nothing is heard there. To its own stream every mount may return.
    pub fn order_fault(&self, mount: &MountName, to: &RungName) -> Option<Box<OtherFormat>> {
        let own = RungName::from(mount.clone());
        if own == *to {
            return None;
        }
        let ordered = self.told(mount, to)?;
        let heard = on_air::heard(mount, self.view);
        let known = [&own].into_iter().chain(heard);
        let known = known.filter_map(|rung| Some(RungFormat::known(rung, self.known(rung)?)));
        let mut before: Vec<RungFormat> = known.filter(|told| told.rung != *to).collect();
        if before.is_empty() {
            before.extend(self.told(mount, &own));
        }
        let misfit = before.iter().find(|it| !it.fits(&ordered))?;
        Some(fault(SWITCHED_TO, &ordered, misfit))
    }

    /// The rung of a mount between which and a file that is to be put players could not go on: its own, another one at this time,
    /// or the file that has this name now, if that is heard.
    pub fn file_misfit(
        &self,
        unix_s: u64,
        spec: &MountSpec,
        name: &FileName,
        format: StreamFormat,
    ) -> Option<RungFormat> {
        let file = RungName::File(PlayedFile::Kept(name.clone()));
        let rungs = ladder::rungs_at(unix_s, spec, self.mounts);
        if !rungs.contains(&file) {
            return None;
        }
        let new = RungFormat::known(&file, format);
        let mut told = rungs.iter().filter_map(|rung| {
            let is_heard = || on_air::heard(&spec.path, self.view).any(|it| *it == file);
            let counts = *rung != file || is_heard();
            counts.then(|| self.told(&spec.path, rung)).flatten()
        });
        told.find(|told| !told.fits(&new))
    }

    /// The format of a rung as it is known, or as its name promises if it is there; `None`: neither says anything.
    fn told(&self, mount: &MountName, rung: &RungName) -> Option<RungFormat> {
        let promised = || {
            let format = ladder::promised_format(rung).filter(|_| self.is_there(mount, rung))?;
            Some(RungFormat {
                words: format!("{} by its name", format.in_words()),
                ..RungFormat::known(rung, format)
            })
        };
        let known = self
            .known(rung)
            .map(|format| RungFormat::known(rung, format));
        known.or_else(promised)
    }

    fn known(&self, rung: &RungName) -> Option<StreamFormat> {
        let kept = match rung {
            RungName::File(PlayedFile::Kept(name)) => self.files.get(name),
            _ => None,
        };
        // What nodes gossip of a file may be older than its record.
        let recorded = kept.and_then(|file| format_of_words(&file.format));
        recorded.or_else(|| on_air::rung_format(rung, self.mounts, self.view))
    }

    /// Whether a rung is there, or is the mount that may not be made yet. Of one that is not, that is said instead.
    fn is_there(&self, mount: &MountName, rung: &RungName) -> bool {
        match rung {
            RungName::Mount(other) => other == mount || self.mounts.contains_key(other),
            RungName::File(PlayedFile::Kept(name)) => self.files.contains_key(name),
            RungName::File(PlayedFile::Path(_)) => true,
        }
    }
}

fn fault(setting: &'static str, rung: &RungFormat, before: &RungFormat) -> Box<OtherFormat> {
    Box::new(OtherFormat {
        setting,
        rung: rung.rung.clone(),
        theirs: rung.words.clone(),
        before: before.rung.clone(),
        heard: before.words.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::kept_file::{FileHash, KeptFile};
    use crate::model::node::{Generation, NodeName};
    use crate::model::status::NodeState;
    use crate::model::stream::StreamId;
    use crate::proto::view::MeshNode;
    use crate::wire::gossip::{FileCard, RungCard, StreamCard};

    /// A mesh of one node that gossips.
    struct Scene {
        mounts: BTreeMap<MountName, MountSpec>,
        files: KeptFiles,
        view: MeshView,
    }

    impl Scene {
        fn new(mounts: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
            let spec = |(name, fallback): &(&str, &str)| MountSpec {
                fallback: fallback.parse().unwrap(),
                ..MountSpec::new(name.parse().unwrap())
            };
            let file = |(name, format): &(&str, &str)| KeptFile {
                name: name.parse().unwrap(),
                sha256: FileHash([1; 32]),
                bytes: 1,
                plays_ms: 1,
                format: (*format).to_owned(),
            };
            let mut view = MeshView::empty("me".parse().unwrap());
            let node = MeshNode {
                state: NodeState::Alive,
                ..MeshNode::unheard(Generation(1), Instant::now())
            };
            view.nodes.insert(NodeName::try_from("n1").unwrap(), node);
            Self {
                mounts: mounts
                    .iter()
                    .map(spec)
                    .map(|it| (it.path.clone(), it))
                    .collect(),
                files: files
                    .iter()
                    .map(file)
                    .map(|it| (it.name.clone(), it))
                    .collect(),
                view,
            }
        }

        fn node(&mut self) -> &mut MeshNode {
            self.view.nodes.values_mut().next().unwrap()
        }

        fn on_air(mut self, mount: &str, format: &str) -> Self {
            let card = StreamCard {
                format: format_of_words(format),
                ..StreamCard::sample(StreamId(7))
            };
            self.node().streams.insert(mount.parse().unwrap(), card);
            self
        }

        fn hears(mut self, mount: &str, rung: &str) -> Self {
            let card = RungCard {
                rung: rung.parse().unwrap(),
                listeners: 1,
            };
            self.node().rungs.insert(mount.parse().unwrap(), card);
            self
        }

        fn fitting(&self) -> Fitting<'_> {
            Fitting {
                mounts: &self.mounts,
                files: &self.files,
                view: &self.view,
            }
        }

        fn fallback(&self, mount: &str) -> Option<String> {
            let fault = self.fitting().fallback_fault(&mount.parse().unwrap());
            fault.map(|fault| fault.to_string())
        }

        fn order(&self, mount: &str, to: &str) -> Option<String> {
            let fault = self
                .fitting()
                .order_fault(&mount.parse().unwrap(), &to.parse().unwrap());
            fault.map(|fault| fault.to_string())
        }

        /// The rung beside which a file of this name and format does not fit, and its format.
        fn misfit(&self, mount: &str, name: &str, format: &str) -> Option<String> {
            let spec = &self.mounts[&MountName::try_from(mount).unwrap()];
            let format = format_of_words(format).unwrap();
            let name = name.parse().unwrap();
            let told = self.fitting().file_misfit(0, spec, &name, format);
            told.map(|told| format!("{} {}", told.rung, told.words))
        }
    }

    #[test]
    fn a_file_is_judged_by_its_record_and_not_by_what_is_gossiped_of_another_one() {
        let mounts = [("/live", "file:q")];
        let mut scene =
            Scene::new(&mounts, &[("q", "Ogg Vorbis, 44.1 kHz, stereo")]).on_air("/live", "MP3");
        let fault = |scene: &Scene| scene.fallback("/live");
        let said = fault(&scene).unwrap();
        assert!(
            said.contains("file:q is Ogg Vorbis, 44.1 kHz, stereo, and /live MP3"),
            "{said}"
        );
        // The node has not seen the file yet that has replaced one of MP3.
        let card = FileCard {
            trouble: None,
            format: format_of_words("MP3"),
            is_coming: false,
        };
        scene
            .node()
            .files
            .insert("q".parse().unwrap(), card.clone());
        assert!(fault(&scene).is_some());
        // A record without words says nothing, so gossip counts.
        scene.files.values_mut().next().unwrap().format.clear();
        assert_eq!(fault(&scene), None);
    }

    #[test]
    fn a_fallback_has_to_fit_whole_ladders() {
        let mounts = [
            ("/live.mp3", "/auto"),
            ("/auto", "file:q"),
            ("/other", "file:q"),
        ];
        let scene = || Scene::new(&mounts, &[("q", "Ogg Opus"), ("r", "MP3")]);
        // The file comes behind the fallback that is set, and behind the mount that has this one as a fallback.
        for mount in ["/live.mp3", "/auto"] {
            let said = scene().fallback(mount).unwrap();
            let because = "fallback: file:q is Ogg Opus, and /live.mp3 MP3 by its name";
            assert!(said.starts_with(because), "{said}");
        }
        assert_eq!(scene().fallback("/other"), None);
        // What was there before is not the fault of an edit elsewhere.
        let mounts = [("/live.mp3", "file:q,/auto"), ("/auto", "file:r")];
        let forced = Scene::new(&mounts, &[("q", "Ogg Opus"), ("r", "")]);
        assert_eq!(forced.fallback("/auto"), None);
    }

    #[test]
    fn a_file_has_to_fit_all_that_the_listeners_of_its_mounts_may_hear() {
        let mounts = [("/live", "/auto"), ("/auto", "file:q"), ("/other", "")];
        let files = [("q", "MP3")];
        let scene = || Scene::new(&mounts, &files);
        assert_eq!(
            scene().misfit("/live", "q", "Ogg Opus"),
            None,
            "nothing is known"
        );
        let on_air = scene().on_air("/auto", "MP3, 44.1 kHz");
        for mount in ["/live", "/auto"] {
            let said = on_air.misfit(mount, "q", "Ogg Opus").unwrap();
            assert_eq!(said, "/auto MP3, 44.1 kHz");
            assert_eq!(on_air.misfit(mount, "q", "MP3, 48 kHz"), None);
        }
        assert_eq!(on_air.misfit("/other", "q", "Ogg Opus"), None);
        let heard = scene().hears("/live", "file:q");
        let said = heard.misfit("/live", "q", "Ogg Opus").unwrap();
        assert_eq!(said, "file:q MP3", "listeners hear the one before");
        let named = Scene::new(&[("/live.mp3", "file:q")], &files);
        let said = named.misfit("/live.mp3", "q", "Ogg Opus").unwrap();
        assert_eq!(said, "/live.mp3 MP3 by its name");
        // What is on air counts more than a name.
        let named = named.on_air("/live.mp3", "Ogg Opus");
        assert_eq!(named.misfit("/live.mp3", "q", "Ogg Opus"), None);
    }

    #[test]
    fn an_order_has_to_fit_what_is_heard_or_else_the_name() {
        let mounts = [("/live.mp3", "/auto"), ("/auto", ""), ("/news.opus", "")];
        let scene = || Scene::new(&mounts, &[("sorry.ogg", "Ogg Vorbis")]);
        let said = scene().order("/live.mp3", "file:sorry.ogg").unwrap();
        let because = "switched_to: file:sorry.ogg is Ogg Vorbis, and /live.mp3 MP3 by its name: ";
        assert!(
            said.starts_with(because) && said.contains("switch all the same by --force"),
            "{said}"
        );
        assert!(scene().order("/live.mp3", "/news.opus").is_some());
        assert_eq!(scene().order("/live.mp3", "/live.mp3"), None);
        assert_eq!(scene().order("/live.mp3", "/auto"), None);
        let heard = scene().on_air("/auto", "MP3").hears("/auto", "/auto");
        assert_eq!(heard.order("/auto", "/live.mp3"), None);
        let heard = heard.hears("/live.mp3", "/auto");
        let said = heard.order("/live.mp3", "file:sorry.ogg").unwrap();
        assert!(said.contains(", and /auto MP3: "), "{said}");
        // Listeners hear a fallback that was forced upon them, so the name does not count.
        let forced = scene()
            .on_air("/auto", "Ogg Vorbis")
            .hears("/live.mp3", "/auto");
        assert_eq!(forced.order("/live.mp3", "file:sorry.ogg"), None);
    }
}
