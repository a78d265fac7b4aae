//! Titles of sources that are not heard yet.
//!
//! Some encoders, such as liquidsoap and ezstream, name the first title as soon as they have logged in, and send no audio
//! before that is answered: a title that waited for the first audio would be refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::mount::MountName;
use crate::model::title::TitleInfo;

/// The sources of a mount that have logged in here and sent no audio, and their title.
#[derive(Debug, Default)]
struct Waiting {
    sources: usize,
    title: Option<TitleInfo>,
}

/// A cheap, cloneable handle to them. One title at most is kept for each mount, and no longer than its sources wait.
#[derive(Clone, Debug, Default)]
pub(super) struct EarlyTitles(Arc<Mutex<BTreeMap<MountName, Waiting>>>);

/// Keeps a title for a source for as long as it has sent no audio.
#[derive(Debug)]
pub(super) struct Unheard {
    titles: EarlyTitles,
    mount: MountName,
}

impl EarlyTitles {
    /// A source of this mount has logged in.
    pub(super) fn expect(&self, mount: &MountName) -> Unheard {
        self.0.lock().entry(mount.clone()).or_default().sources += 1;
        Unheard {
            titles: self.clone(),
            mount: mount.clone(),
        }
    }

    /// Keeps a title if a source of the mount waits here; whether it does.
    pub(super) fn keep(&self, mount: &MountName, title: &TitleInfo) -> bool {
        let mut waiting = self.0.lock();
        let waiting = waiting.get_mut(mount);
        waiting.is_some_and(|it| {
            it.title = Some(title.clone());
            true
        })
    }
}

impl Unheard {
    /// The title that came before the first audio.
    pub(super) fn title(&self) -> Option<TitleInfo> {
        self.titles.0.lock().get(&self.mount)?.title.clone()
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let mut waiting = self.titles.0.lock();
        if let Some(of_mount) = waiting.get_mut(&self.mount) {
            of_mount.sources -= 1;
            if of_mount.sources == 0 {
                waiting.remove(&self.mount);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_kept_only_while_a_source_waits() {
        let (titles, radio) = (
            EarlyTitles::default(),
            MountName::try_from("/radio").unwrap(),
        );
        let (one, other) = (TitleInfo::plain("one"), TitleInfo::plain("other"));
        assert!(!titles.keep(&radio, &one));
        let (first, second) = (titles.expect(&radio), titles.expect(&radio));
        assert!(titles.keep(&radio, &one) && titles.keep(&radio, &other));
        assert_eq!(first.title(), Some(other.clone()));
        drop(first);
        assert_eq!(second.title(), Some(other));
        drop(second);
        assert!(!titles.keep(&radio, &one));
        assert_eq!(titles.expect(&radio).title(), None);
        assert!(titles.0.lock().is_empty());
    }
}
