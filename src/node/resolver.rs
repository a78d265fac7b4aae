//! Makes this node a name server of the mesh's zone, if its settings say so.

use std::net::IpAddr;
use std::sync::Arc;

use tracing::info;

use super::services::Core;
use crate::io::disk::DataDir;
use crate::io::dns::DnsSockets;
use crate::logic::dns::zone::Zone;
use crate::service::load::Load;
use crate::service::mesh::Mesh;
use crate::service::resolve::{ClientLocator, ResolveConfig, Resolver};
use crate::settings::{DnsSettings, Settings};

impl Core<'_> {
    /// Answers for the zone, as soon as the node knows itself.
    pub(super) fn start_resolver(
        &self,
        mesh: &Mesh,
        load: Load,
        zone: Zone,
        sockets: DnsSockets,
        data_dir: Arc<DataDir>,
    ) {
        let Some(dns) = &self.settings.dns else {
            return;
        };
        let resolver = Resolver::new(ResolveConfig {
            zone,
            cluster: mesh.cluster.clone(),
            issuance: mesh.documents.watch_issuance(),
            load,
            places: self.places(),
            answers_per_s: dns.answers_per_s.get(),
            data_dir,
        });
        let listen: Vec<String> = dns.listen.iter().map(ToString::to_string).collect();
        info!(
            zone = %dns.zone.as_str(),
            listen = %listen.join(", "),
            "DNS is served"
        );
        let running = resolver.run(sockets, self.tasks.clone());
        self.tasks.spawn(running);
    }

    /// Looks places up, if there is a database.
    fn places(&self) -> ClientLocator {
        let geo = self.geo.clone();
        match self.settings.geo_database {
            Some(_) => Arc::new(move |ip| Some(geo.whereabouts(ip))),
            None => Arc::new(|_| None),
        }
    }
}

/// The fixed part of the zone; `fingerprint` is the mesh's.
pub(super) fn zone(dns: &DnsSettings, fingerprint: &str) -> Zone {
    Zone {
        apex: dns.zone.clone(),
        servers: dns.ns.clone(),
        contact: dns.contact.as_ref().map(|it| it.name().clone()),
        answers: dns.answers.get(),
        text: format!("antiphon {}, mesh {fingerprint}", env!("CARGO_PKG_VERSION")),
        caa: dns.caa.clone(),
    }
}

/// The addresses that DNS gives for this node: those of the settings, or else the one by which the world sees it.
pub(super) fn addresses(settings: &Settings, own_ip: IpAddr) -> Vec<IpAddr> {
    match &settings.addresses[..] {
        [] => vec![own_ip],
        addresses => addresses.to_vec(),
    }
}
