//! Whether a source that is not on air could be heard, by what it sends and what listeners hear.

use tracing::{info, warn};

use super::IngestConfig;
use super::filler::{Filler, Offer};
use super::intake::Intake;
use crate::io::clock;
use crate::logic::ladder::may_follow;
use crate::media::format::detect::Format;
use crate::model::fitness::SourceFitness;
use crate::model::format::StreamFormat;
use crate::model::mount::MountName;
use crate::model::sound::SoundState;
use crate::model::stream::StreamId;
use crate::proto::on_air::fallback_on_air;
use crate::proto::source::has_other;
use crate::proto::view::MeshView;
use crate::wire::gossip::StreamCard;

/// Knows of one source whether it could be heard.
#[derive(Debug)]
pub(super) struct Fitness {
    now: SourceFitness,
    /// Whether it was silent when it was heard last, on air or on standby.
    is_silent: bool,
}

impl Fitness {
    /// That of a source that has sent nothing.
    pub(super) fn new() -> Self {
        Self {
            now: SourceFitness::Idle,
            is_silent: false,
        }
    }

    /// As it was found last.
    pub(super) fn now(&self) -> SourceFitness {
        self.now
    }

    /// The source leaves the air because it is silent.
    pub(super) fn note_silent(&mut self) {
        (self.now, self.is_silent) = (SourceFitness::Silent, true);
    }

    /// Looks at a source that waits, and says in the log why it could not be heard.
    pub(super) fn look(
        &mut self,
        ingest: &IngestConfig,
        offer: &Offer,
        intake: &mut Intake<impl Filler>,
    ) {
        let (view, mount) = (ingest.mesh.cluster.view(), &offer.spec.path);
        let spec = ingest.mesh.documents.mount(mount);
        let silence = spec.filter(|spec| spec.silence_fails && spec.silence.silence_s > 0);
        intake.listen(silence.as_ref().map(|spec| spec.silence));
        match intake.sound() {
            Some(SoundState::Silent) => self.is_silent = true,
            Some(SoundState::Sounding) => self.is_silent = false,
            Some(SoundState::Quiet | SoundState::Unknown) | None => {}
        }
        let (media_type, format) = intake.kind();
        let heard = heard(mount, &view).filter(|card| !could_follow(card, media_type, format));
        let found = match (intake.is_known(), intake.is_sending(), heard) {
            (false, ..) => SourceFitness::Unknown,
            (true, false, _) => SourceFitness::Idle,
            (true, true, Some(_)) => SourceFitness::OtherFormat,
            (true, true, None) if self.is_silent && silence.is_some() => SourceFitness::Silent,
            (true, true, None) => SourceFitness::Fit,
        };
        let before = std::mem::replace(&mut self.now, found);
        match (found, heard) {
            _ if found == before => {}
            (SourceFitness::Unknown, _) => tell_unknown(offer),
            (SourceFitness::OtherFormat, Some(heard)) => {
                let own = format.map_or_else(|| media_type.to_owned(), StreamFormat::in_words);
                let heard = heard.format.map(StreamFormat::in_words);
                warn!(
                    own,
                    heard,
                    "the source sends another format than listeners hear, with which players could not go on: it waits until \
                     nothing else is on air; let it send the same"
                );
            }
            (SourceFitness::Silent, _) => {
                info!("the source is silent: any other one is heard rather than it")
            }
            _ => {}
        }
    }

    /// Looks at a source that has sent its first audio and is not on air, and says whether it has to wait until more is known of it:
    /// listeners have something else to hear, and what it sends is not known as audio.
    pub(super) fn has_to_wait(
        &mut self,
        ingest: &IngestConfig,
        offer: &Offer,
        intake: &Intake<impl Filler>,
    ) -> bool {
        let mount = &offer.spec.path;
        let waits = !intake.is_known()
            && has_other(
                mount,
                fallback_flows(ingest, mount),
                &ingest.mesh.cluster.view(),
            );
        if waits && self.now != SourceFitness::Unknown {
            self.now = SourceFitness::Unknown;
            tell_unknown(offer);
        }
        waits
    }
}

fn tell_unknown(offer: &Offer) {
    let stated = &offer.head.content_type;
    warn!(
        stated,
        "no audio of this type is found in what the source sends: it is not heard while there is something else; let it send \
         what it says"
    );
}

/// Whether a fallback of a mount can be heard.
pub(super) fn fallback_flows(ingest: &IngestConfig, mount: &MountName) -> bool {
    let (mounts, view) = (ingest.mesh.documents.mounts(), ingest.mesh.cluster.view());
    let spec = mounts.get(mount);
    spec.is_some_and(|spec| fallback_on_air(clock::unix_s(), spec, &mounts, &view).is_some())
}

/// Whether a source on air here is silent, and its mount does not play that.
pub(super) fn fails_by_silence(ingest: &IngestConfig, mount: &MountName, stream: StreamId) -> bool {
    let spec = ingest.mesh.documents.mount(mount);
    let found = || ingest.sources.findings(mount, stream).sound;
    spec.is_some_and(|spec| spec.silence_fails)
        && found().is_some_and(|sound| sound.state == SoundState::Silent)
}

/// The stream that listeners of a mount hear of a source, or have just heard. An outside relay gives way to any source.
fn heard<'a>(mount: &'a MountName, view: &'a MeshView) -> Option<&'a StreamCard> {
    match view.source(mount) {
        Some((_, card)) => Some(card).filter(|_| !view.yields(mount)),
        None => view.holders(mount).next().map(|(_, card)| card),
    }
}

/// Whether players that hear one stream could go on with another, as far as the formats are known. With WebM none goes on, but that is
/// no reason to wait for ever: they ask again.
fn could_follow(heard: &StreamCard, media_type: &str, format: Option<StreamFormat>) -> bool {
    let kinds = [&*heard.content_type, media_type].map(Format::of_media_type);
    match kinds {
        [Some(Format::Ebml), Some(Format::Ebml)] => true,
        [None, None] => heard.content_type.eq_ignore_ascii_case(media_type),
        [heard, own] if heard != own => false,
        _ => heard
            .format
            .zip(format)
            .is_none_or(|(heard, own)| may_follow(heard, own)),
    }
}
