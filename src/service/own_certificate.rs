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
    files: Mutex<OwnFiles>,
    /// The operator wants the files read again.
    wanted: Notify,
}

/// The files, and what they looked like.
#[derive(Debug)]
struct OwnFiles {
    named: Option<TlsFiles>,
    /// As they were looked at last.
    seen: [Option<FileStamp>; 2],
    /// As they were just before they were read last.
    read: [Option<FileStamp>; 2],
}

impl OwnFiles {
    /// Whether files that look so have changed since they were read, and are not just being changed.
    fn is_settled_change(&mut self, now: [Option<FileStamp>; 2]) -> bool {
        let is_settled = std::mem::replace(&mut self.seen, now) == now;
        is_settled && self.read != now
    }
}

impl OwnCertificate {
    /// Reads the certificate, if files are named.
    pub fn read(files: Option<TlsFiles>, certificates: Certificates) -> Result<Self, BadTlsFile> {
        let stamps = files.as_ref().map(files::stamps).unwrap_or_default();
        let own = Self(Arc::new(Inner {
            certificates,
            files: Mutex::new(OwnFiles {
                named: files.clone(),
                seen: stamps,
                read: stamps,
            }),
            wanted: Notify::new(),
        }));
        match &files {
            Some(files) => own.take(files).map(|()| own),
            None => Ok(own),
        }
    }

    /// Has these files read now, whether they have changed or not.
    pub fn read_again(&self, files: Option<TlsFiles>) {
        self.0.files.lock().named = files;
        self.0.wanted.notify_one();
    }

    /// Looks after the files until the node stops.
    pub async fn run(self, tasks: Tasks) {
        self.warn_of_other_host(); // not clear yet when they were read
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_wanted = tokio::select! {
                () = tasks.asked_to_end() => return,
                () = self.0.wanted.notified() => true,
                _ = looks.tick() => false,
            };
            let own = self.clone();
            let looking = tasks.spawn_blocking(move || own.look(is_wanted));
            if let Err(error) = looking.await {
                warn!(%error, "the files of the certificate were not looked at");
            }
        }
    }

    /// Reads the files if they have changed, or if that is wanted.
    fn look(&self, is_wanted: bool) {
        let Some(named) = self.0.files.lock().named.clone() else {
            if is_wanted {
                self.0.certificates.set_files(Vec::new());
            }
            return;
        };
        let now = files::stamps(&named);
        {
            let mut files = self.0.files.lock();
            if !files.is_settled_change(now) && !is_wanted {
                return;
            }
            files.read = now;
        }
        if let Err(error) = self.take(&named) {
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
        self.0.certificates.set_files(vec![certificate]);
        self.warn_of_other_host();
        Ok(())
    }

    /// Warns if the files are for other hosts than the one by which the world knows this node.
    fn warn_of_other_host(&self) {
        if let Some((host, names)) = self.other_host() {
            warn!(
                host,
                names,
                "the certificate of tls_cert is not for the host of public_url: clients that check it go away, and nobody is \
                 sent here by HTTPS unless the mesh has one for this host"
            );
        }
    }

    /// The host by which the world knows this node and the names in the files, if they are not for it.
    fn other_host(&self) -> Option<(String, String)> {
        let host = self.0.certificates.public_host()?;
        let held = self.0.certificates.list().into_iter();
        let mut files = held.filter(|one| one.origin == Origin::Files);
        let facts = files.next()?.certificate.facts;
        (!facts.covers(host)).then(|| (host.to_owned(), facts.names.join(", ")))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::io::https::certificate::samples::pem;

    /// The names in the certificates that are used.
    fn names(certificates: &Certificates) -> Vec<String> {
        let held = certificates.list().into_iter();
        held.flat_map(|one| one.certificate.facts.names.clone())
            .collect()
    }

    #[test]
    fn a_change_is_read_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            cert: folder.path().join("cert"),
            key: folder.path().join("key"),
        };
        let write = |name: &str| {
            let (cert, key) = pem(&[name], 2030);
            fs::write(&files.cert, cert).unwrap();
            fs::write(&files.key, key).unwrap();
        };
        write("a");
        let certificates = Certificates::default();
        let own = OwnCertificate::read(Some(files.clone()), certificates.clone()).unwrap();
        own.look(false);
        write("b");
        own.look(false);
        assert_eq!(names(&certificates), ["a"], "it may still be written");
        own.look(false);
        assert_eq!(names(&certificates), ["b"]);
        assert_eq!(own.other_host(), None, "the host is not clear yet");
        certificates.note_public_host("radio.example");
        let other = ("radio.example".to_owned(), "b".to_owned());
        assert_eq!(own.other_host(), Some(other));
        write("radio.example");
        own.look(true);
        assert_eq!(own.other_host(), None);
        write("b");
        own.look(true);
        fs::write(&files.key, "junk").unwrap();
        own.look(true);
        assert_eq!(names(&certificates), ["b"], "a bad one changes nothing");
        own.read_again(None);
        own.look(true);
        assert!(certificates.is_empty());
    }
}
