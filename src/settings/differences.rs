//! The differences between the settings that a node runs by and those that are read again.

use std::path::Path;

use super::{Settings, TlsFiles, Transcoding};

impl Settings {
    /// The keys with different values in `new`.
    pub fn differing(&self, new: &Self) -> Vec<&'static str> {
        // Destructured as a whole, so that a new setting cannot be forgotten here.
        let Self {
            name,
            data_dir,
            listen,
            shoutcast_listen,
            listen_http,
            listen_https,
            tls,
            shoutcast_mount,
            public_url,
            public_https_url,
            plain_http,
            mesh_address,
            addresses,
            dns,
            join,
            found,
            secret_file,
            max_listeners,
            max_sources,
            max_bandwidth_bps,
            rank,
            quorum,
            geo_database,
            place,
            trusted_proxies,
            icecast,
            web_root,
            media_dir,
            http_headers,
            admin,
            location,
            https,
            transcoding,
            log,
            logs,
        } = self;
        let Transcoding {
            is_on,
            engine,
            user,
            most,
            memory_mib,
        } = transcoding;
        let theirs = &new.transcoding;
        let compared = [
            ("name", *name == new.name),
            ("data_dir", *data_dir == new.data_dir),
            ("listen", *listen == new.listen),
            (
                "shoutcast_listen",
                *shoutcast_listen == new.shoutcast_listen,
            ),
            ("listen_http", *listen_http == new.listen_http),
            ("listen_https", *listen_https == new.listen_https),
            ("tls_cert", cert_of(tls) == cert_of(&new.tls)),
            ("tls_key", key_of(tls) == key_of(&new.tls)),
            ("shoutcast_mount", *shoutcast_mount == new.shoutcast_mount),
            ("public_url", *public_url == new.public_url),
            (
                "public_https_url",
                *public_https_url == new.public_https_url,
            ),
            (
                "https_redirect",
                plain_http.redirect == new.plain_http.redirect,
            ),
            (
                "require_tls_for",
                plain_http.refused == new.plain_http.refused,
            ),
            ("mesh_address", *mesh_address == new.mesh_address),
            ("addresses", *addresses == new.addresses),
            ("dns", *dns == new.dns),
            ("join", *join == new.join),
            ("found", *found == new.found),
            ("secret_file", *secret_file == new.secret_file),
            ("max_listeners", *max_listeners == new.max_listeners),
            ("max_sources", *max_sources == new.max_sources),
            ("max_bandwidth", *max_bandwidth_bps == new.max_bandwidth_bps),
            ("rank", *rank == new.rank),
            ("quorum", *quorum == new.quorum),
            ("geo_database", *geo_database == new.geo_database),
            ("country", place.country == new.place.country),
            ("position", place.position == new.place.position),
            ("trusted_proxies", *trusted_proxies == new.trusted_proxies),
            ("engine", icecast.is_some() == new.icecast.is_some()),
            (
                "icecast",
                icecast
                    .as_ref()
                    .zip(new.icecast.as_ref())
                    .is_none_or(|(old, new)| old == new),
            ),
            ("web_root", *web_root == new.web_root),
            ("media_dir", *media_dir == new.media_dir),
            ("http_headers", *http_headers == new.http_headers),
            ("admin", *admin == new.admin),
            ("location", *location == new.location),
            ("https", *https == new.https),
            ("transcode", *is_on == theirs.is_on),
            ("transcode_engine", *engine == theirs.engine),
            ("transcode_user", *user == theirs.user),
            ("max_transcoders", *most == theirs.most),
            ("transcode_memory_mib", *memory_mib == theirs.memory_mib),
            ("log", *log == new.log),
            ("logs", *logs == new.logs),
        ];
        let others = compared.into_iter().filter(|(_, same)| !same);
        others.map(|(key, _)| key).collect()
    }
}

fn cert_of(tls: &Option<TlsFiles>) -> Option<&Path> {
    tls.as_ref().map(|files| files.cert.as_path())
}

/// The file of the key, where it is another than that of the certificate.
fn key_of(tls: &Option<TlsFiles>) -> Option<&Path> {
    let files = tls.as_ref()?;
    (files.key != files.cert).then_some(files.key.as_path())
}

#[cfg(test)]
mod tests {
    use crate::settings::{Machine, RunArgs, Settings};

    #[test]
    fn a_difference_is_named_by_its_key() {
        let machine = Machine::new(&[("HOME", "/h")], "h");
        let load = |args| Settings::load(args, &machine).unwrap();
        let before = load(RunArgs::default());
        assert!(before.differing(&before).is_empty());
        let after = load(RunArgs {
            rank: Some(7),
            country: "de".parse().ok(),
            transcode: Some(true),
            log: "debug".parse().ok(),
            ..RunArgs::default()
        });
        assert_eq!(
            before.differing(&after),
            ["rank", "country", "transcode", "log"]
        );
    }
}
