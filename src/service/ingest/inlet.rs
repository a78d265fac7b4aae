//! The bytes of a source before they get offsets: their format is found out, tags and woven titles are taken out, and so is
//! what stands between pages of Ogg; serial numbers of Ogg that the mount has just had are changed.

use bytes::{Buf as _, BytesMut};

use super::filler::Offer;
use super::lead::RingLead;
use crate::media::format::detect::{self, Format, LOOK_BYTES, Look};
use crate::media::format::ogg::{PageSieve, first_serials};
use crate::media::format::tags::TagFilter;
use crate::media::icy::Separator;
use crate::model::title::TitleInfo;

/// The bytes that a source has sent, and the audio in them.
#[derive(Debug)]
pub(super) struct Inlet {
    /// The bytes as they were read, of a source that weaves titles into them.
    woven: Option<WovenInput>,
    /// The bytes that were read and are not judged yet.
    input: BytesMut,
    filter: TagFilter,
    /// The audio that was not put anywhere yet.
    audio: BytesMut,
    /// The media type that is stated for the stream.
    stated: String,
    look: Look,
    /// Of a source that sends Ogg.
    pages: Option<PagedInput>,
}

/// The bytes of a source that has woven titles into them.
#[derive(Debug)]
struct WovenInput {
    separator: Separator,
    input: BytesMut,
    /// The last title that was found and not taken.
    title: Option<TitleInfo>,
}

/// The bytes of a source that sends pages of Ogg.
#[derive(Debug, Default)]
struct PagedInput {
    sieve: PageSieve,
    /// The beginning of a page.
    input: BytesMut,
}

impl Inlet {
    /// The inlet of a source that has sent nothing yet.
    pub(super) fn new(offer: &Offer) -> Self {
        let woven = offer.metadata_interval.map(|interval_bytes| WovenInput {
            separator: Separator::new(interval_bytes, offer.spec.charset),
            input: BytesMut::new(),
            title: None,
        });
        Self {
            woven,
            input: BytesMut::new(),
            filter: TagFilter::new(),
            audio: BytesMut::new(),
            stated: offer.head.content_type.clone(),
            look: Look::More,
            pages: None,
        }
    }

    /// The buffer to read into.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        match &mut self.woven {
            Some(woven) => &mut woven.input,
            None => &mut self.input,
        }
    }

    /// The title that came with the bytes, once.
    pub(super) fn take_title(&mut self) -> Option<TitleInfo> {
        self.woven.as_mut()?.title.take()
    }

    /// Judges what was read.
    pub(super) fn judge(&mut self) {
        self.take_input();
        if self.look == Look::More {
            self.look_at(self.audio.len() >= LOOK_BYTES);
        }
    }

    /// Judges what is left: nothing will follow.
    pub(super) fn finish(&mut self) {
        if let Some(pages) = &mut self.pages {
            self.audio.unsplit(pages.input.split());
        }
        self.filter.finish(&mut self.input, &mut self.audio);
        self.stop_looking();
        self.filter.finish(&mut self.input, &mut self.audio);
    }

    /// Decides about the first audio as it is: no more of it is waited for.
    pub(super) fn stop_looking(&mut self) {
        if self.look == Look::More && !self.audio.is_empty() {
            self.look_at(true);
        }
    }

    /// Whether it is decided what the first audio is.
    pub(super) fn is_decided(&self) -> bool {
        self.look != Look::More
    }

    /// Whether audio has come that was not put anywhere yet.
    pub(super) fn has_audio(&self) -> bool {
        !self.audio.is_empty()
    }

    /// The audio that was not put anywhere yet.
    pub(super) fn audio(&self) -> &[u8] {
        &self.audio
    }

    /// The audio was put where it belongs.
    pub(super) fn clear(&mut self) {
        self.audio.clear();
    }

    /// The format that the first audio was recognised as.
    pub(super) fn recognised(&self) -> Option<Format> {
        match self.look {
            Look::Is(format) => Some(format),
            Look::More | Look::Unknown => None,
        }
    }

    /// The format by which the stream is scanned: the stated one where none is recognised.
    pub(super) fn format(&self) -> Option<Format> {
        let stated = || Format::of_media_type(&self.stated);
        self.recognised().or_else(stated)
    }

    /// Whether audio that was promised was found, or none was promised that could be.
    pub(super) fn is_known(&self) -> bool {
        self.look != Look::Unknown || Format::of_media_type(&self.stated).is_none()
    }

    /// The media type of the audio as it is known now.
    pub(super) fn media_type(&self) -> &str {
        let recognised = self.recognised().map(Format::media_type);
        recognised.unwrap_or(&self.stated)
    }

    /// Judges what was read of a source whose first bytes were no audio that is known. As many are kept as tell whether such audio
    /// is among them.
    pub(super) fn look_again(&mut self) {
        self.take_input();
        match detect::find(&self.audio, &self.stated) {
            Some((at, format)) => {
                self.audio.advance(at);
                self.decide(Look::Is(format));
            }
            None => {
                let most = 2 * LOOK_BYTES;
                self.audio.advance(self.audio.len().saturating_sub(most));
            }
        }
    }

    /// How many bytes of tags were taken out.
    pub(super) fn removed_bytes(&self) -> u64 {
        self.filter.removed_bytes()
    }

    /// The beginning of a ring that this source fills from now on, given what it would be: if a stream in Ogg has a serial
    /// number that is `taken` by the mount's stream before, a decoder would take its pages for late ones of that stream.
    /// Then the numbers of this source are changed, from this `lead` on; also if it `comes_again`, and those of the stream before are
    /// not all that were heard.
    pub(super) fn avoid_serials(
        &mut self,
        taken: &[u32],
        lead: RingLead,
        comes_again: bool,
    ) -> RingLead {
        let begun = [&lead.prologue[..], &lead.audio, &self.audio].concat();
        let own = first_serials(&begun);
        let is_taken = |by: u32| {
            own.iter()
                .any(|serial| taken.contains(&serial.wrapping_add(by)))
        };
        if !is_taken(0) && (!comes_again || taken.is_empty()) {
            return lead;
        }
        let mut by: u32 = rand::random();
        while is_taken(by) {
            by = by.wrapping_add(1);
        }
        let renumber = |pages: &[u8], input: &mut BytesMut| {
            let mut out = BytesMut::new();
            input.extend_from_slice(pages);
            PageSieve::new(by).take(input, &mut out);
            out
        };
        let mut rest = BytesMut::new();
        let lead = RingLead {
            prologue: renumber(&lead.prologue, &mut rest).freeze(),
            audio: renumber(&lead.audio, &mut rest).freeze(),
        };
        self.audio = renumber(&self.audio, &mut rest);
        let pages = self.pages.get_or_insert_default();
        rest.unsplit(pages.input.split());
        pages.input = rest;
        pages.sieve = PageSieve::new(pages.sieve.by().wrapping_add(by));
        lead
    }

    /// Moves what was read to the audio, without titles and tags.
    fn take_input(&mut self) {
        if let Some(woven) = &mut self.woven {
            let title = woven.separator.take(&mut woven.input, &mut self.input);
            woven.title = title.or(woven.title.take());
        }
        self.take_audio();
    }

    /// Moves what was judged to the audio.
    fn take_audio(&mut self) {
        match &mut self.pages {
            Some(pages) => {
                self.filter.take(&mut self.input, &mut pages.input);
                pages.sieve.take(&mut pages.input, &mut self.audio);
            }
            None => self.filter.take(&mut self.input, &mut self.audio),
        }
    }

    fn look_at(&mut self, is_last: bool) {
        match detect::look(&self.audio, &self.stated) {
            Look::More if is_last => self.decide(Look::Unknown),
            Look::More => {}
            look => self.decide(look),
        }
    }

    /// Decides on the format. What has come so far is taken once more, from its first frame on.
    fn decide(&mut self, look: Look) {
        self.look = look;
        if look == Look::Is(Format::Ogg) {
            self.pages = Some(PagedInput::default());
        }
        if let Some(format) = self.format() {
            self.filter.walks(format);
            self.audio.unsplit(self.input.split());
            std::mem::swap(&mut self.audio, &mut self.input);
            self.take_audio();
        }
    }
}
