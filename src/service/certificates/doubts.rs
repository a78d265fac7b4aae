//! The reasons to doubt that settings will lead to certificates, said when they are set.
//!
//! None of them refuses the settings: an authority may be down for a moment, and a name may come with the next node.

use std::time::Duration;

use tokio::time::timeout;

use crate::io::acme::{AcmeError, Authority};
use crate::logic::certificates::names::ProofWay;
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
    let of_names = if wanted.is_empty() {
        Some(
            "no name to order for: the nodes are known by addresses or by names that only your own network knows; use --names, \
             or give the nodes a public_url with a name",
        )
    } else if wanted.iter().all(|it| it.way == ProofWay::No) {
        Some(
            "no name to order for: a wildcard needs a zone that the mesh serves; use --names with the hosts one by one",
        )
    } else {
        None
    };
    let look = timeout(LOOK_LIMIT, Authority::look(settings));
    let looked = look.await.unwrap_or(Err(AcmeError::Late("answered")));
    let of_authority = looked.err().map(|why| {
        let (me, directory) = (&view.me, &settings.directory);
        format!(
            "{me} cannot use the authority at {directory} now: {why}. Unless that is mended, nothing is ordered; it is tried \
             again by itself"
        )
    });
    let of_names = of_names.map(str::to_owned);
    of_names.into_iter().chain(of_authority).collect()
}
