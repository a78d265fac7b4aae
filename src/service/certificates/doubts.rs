//! The reasons to doubt that settings will lead to certificates, said when they are set.
//!
//! None of them refuses the settings: an authority may be down for a moment, and a name may come with the next node.

use std::time::Duration;

use tokio::time::timeout;

use crate::io::acme::{AcmeError, Authority};
use crate::logic::certificates::names::doubts_of;
use crate::model::https::HttpsSettings;
use crate::proto::certificates::wanted_by;
use crate::service::mesh::Mesh;

/// How long an authority is waited for: the commands wait five seconds for the whole answer.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// All that may be in the way of certificates by these settings, each with what to do.
pub async fn doubts(mesh: &Mesh, settings: &HttpsSettings) -> Vec<String> {
    if !settings.is_on {
        return Vec::new();
    }
    let view = mesh.cluster.view();
    let wanted = wanted_by(&view, settings);
    let mut doubts = doubts_of(&wanted);
    if settings.directory == HttpsSettings::DEFAULT_DIRECTORY && !settings.directory_ca.is_empty() {
        doubts.push(
            "https_directory_ca is still set, so Let's Encrypt's own server may not be trusted: antiphon cert enable \
             --directory-ca \"\" clears it"
                .to_owned(),
        );
    }
    let look = timeout(LOOK_LIMIT, Authority::look(settings));
    let looked = look.await.unwrap_or(Err(AcmeError::Late("answered")));
    let of_authority = looked.err().map(|why| {
        let (me, directory) = (&view.me, &settings.directory);
        format!(
            "{me} cannot use the authority at {directory} now: {why}. Unless that is mended, nothing is ordered; it is tried \
             again by itself"
        )
    });
    doubts.extend(of_authority);
    doubts
}
