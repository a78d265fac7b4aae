//! The certificate of the operator's files, read again when they change or when the operator asks for it.
//!
//! What is wrong with them at the start stops the node; later the certificate stays as it was. Both are said with what
//! to do.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::io::clock;
use crate::io::https::certificate::Certificate;
use crate::io::https::certificates::{Certificates, Origin};
use crate::io::https::files::{self, BadTlsFile, ReadFiles};
use crate::io::regular_file::FileStamp;
use crate::io::tasks::Tasks;
use crate::model::http_date::http_date;
use crate::settings::TlsFiles;

/// How often the files are looked at. Both are replaced one after the other, so they are read once they have stayed the
/// same from one look to the next: an operator who has just renewed waits for four seconds at most.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// The certificate of the operator's files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OwnCertificate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    certificates: Certificates,
    files: Mutex<Option<TlsFiles>>,
    /// The operator wants the files read again.
    wanted: Notify,
}

/// The files as they were looked at last, and as they were when they were read last.
#[derive(Debug, Default, PartialEq)]
struct SeenFiles {
    seen: [Option<FileStamp>; 2],
    read: [Option<FileStamp>; 2],
}

impl SeenFiles {
    /// Whether files that look so have changed since they were read, and are not just being changed.
    fn is_settled_change(&mut self, now: [Option<FileStamp>; 2]) -> bool {
        let is_settled = std::mem::replace(&mut self.seen, now) == now;
        is_settled && self.read != now
    }
}

impl OwnCertificate {
    /// Reads the certificate, if files are named.
    pub fn read(files: Option<TlsFiles>, certificates: Certificates) -> Result<Self, BadTlsFile> {
        let own = Self(Arc::new(Inner {
            certificates,
            files: Mutex::new(None),
            wanted: Notify::new(),
        }));
        if let Some(files) = &files {
            own.take(files)?;
        }
        *own.0.files.lock() = files;
        Ok(own)
    }

    /// Has these files read now, whether they have changed or not.
    pub fn read_again(&self, files: Option<TlsFiles>) {
        *self.0.files.lock() = files;
        self.0.wanted.notify_one();
    }

    /// Looks after the files until the node stops.
    pub async fn run(self, tasks: Tasks) {
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let files = self.0.files.lock().clone();
        let stamps = files.as_ref().map(files::stamps).unwrap_or_default();
        let mut seen = SeenFiles {
            seen: stamps,
            read: stamps,
        };
        loop {
            let is_wanted = tokio::select! {
                () = tasks.asked_to_end() => return,
                () = self.0.wanted.notified() => true,
                _ = looks.tick() => false,
            };
            let own = self.clone();
            let looking = tasks.spawn_blocking(move || {
                own.look(&mut seen, is_wanted);
                seen
            });
            seen = looking.await.unwrap_or_default();
        }
    }

    /// Reads the files if they have changed, or if that is wanted.
    fn look(&self, before: &mut SeenFiles, is_wanted: bool) {
        let Some(files) = self.0.files.lock().clone() else {
            if is_wanted {
                self.0.certificates.set(Origin::Files, Vec::new());
            }
            return;
        };
        let now = files::stamps(&files);
        if !before.is_settled_change(now) && !is_wanted {
            return;
        }
        before.read = now;
        if let Err(error) = self.take(&files) {
            warn!(%error, "the certificate for HTTPS stays as it was");
        }
    }

    fn take(&self, files: &TlsFiles) -> Result<(), BadTlsFile> {
        let ReadFiles {
            certificate,
            is_key_open,
        } = files::read(files)?;
        if is_key_open {
            let key = files.key.display();
            warn!(%key, "every user of this machine can read the key: take that right away (chmod o-rwx)");
        }
        tell(&certificate);
        self.0.certificates.set(Origin::Files, vec![certificate]);
        Ok(())
    }
}

/// Tells the operator of the certificate that is used from now on.
fn tell(certificate: &Certificate) {
    let facts = &certificate.facts;
    let names = facts.names.join(", ");
    let (begins, ends) = (
        http_date(facts.not_before_unix_s),
        http_date(facts.not_after_unix_s),
    );
    let now = clock::unix_s();
    if now > facts.not_after_unix_s {
        warn!(%names, %ends, "the certificate for HTTPS has expired: clients that check it go away until it is renewed");
    } else if now < facts.not_before_unix_s {
        warn!(%names, %begins, "the certificate for HTTPS is not valid yet: is the clock of this machine right?");
    } else {
        info!(%names, until = %ends, "the certificate for HTTPS was read");
    }
}
