//! The tools of a machine that can transcode.

use antiphon::model::format::CodecName;
use antiphon::wire::gossip::TranscodingCard;
use rand::Rng;
use rand::rngs::SmallRng;

/// The transcoders that a machine can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolbox {
    /// The codecs that they can make.
    pub codecs: Vec<CodecName>,
    /// The most at once.
    pub most: u32,
}

/// The state of a machine's tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tools {
    /// The machine never had any.
    Missing,
    /// The tools do not work, and its node knows it.
    Broken(Toolbox),
    /// The tools work.
    Working(Toolbox),
}

impl Tools {
    /// Working tools for both codecs of a world or only one of them, by the dice.
    pub(crate) fn draw(room: (u32, u32), rng: &mut SmallRng) -> Self {
        let codecs = match rng.random_range(0..4) {
            0 => vec![CodecName::Opus],
            1 => vec![CodecName::Mp3],
            _ => vec![CodecName::Mp3, CodecName::Opus],
        };
        let most = rng.random_range(room.0..=room.1);
        Self::Working(Toolbox { codecs, most })
    }

    /// From now on they do not work.
    pub(crate) fn fail(&mut self) {
        if let Self::Working(toolbox) = self {
            *self = Self::Broken(toolbox.clone());
        }
    }

    /// From now on they work again.
    pub(crate) fn mend(&mut self) {
        if let Self::Broken(toolbox) = self {
            *self = Self::Working(toolbox.clone());
        }
    }

    /// The card that the node gossips of them.
    pub(crate) fn card(&self) -> Option<TranscodingCard> {
        let (toolbox, trouble) = match self {
            Self::Missing => return None,
            Self::Broken(toolbox) => (toolbox, Some("the tool is gone".to_owned())),
            Self::Working(toolbox) => (toolbox, None),
        };
        Some(TranscodingCard {
            engine: "model".to_owned(),
            codecs: toolbox.codecs.clone(),
            most: toolbox.most,
            trouble,
        })
    }
}
