//! The layers of settings, combined.

use super::*;
use crate::model::access_log::{AddressPrivacy, LogFormat};
use crate::model::system_user::SystemUser;
use crate::model::transcoding::TranscodeEngine;
use std::fs;

fn load(flags: RunArgs, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::load(flags, &Machine::new(variables, "Studio-PC.example"))
}

fn flags_with_file(text: &str) -> (tempfile::NamedTempFile, RunArgs) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let config = Some(file.path().to_owned());
    let flags = RunArgs {
        config,
        ..RunArgs::default()
    };
    (file, flags)
}

#[test]
fn with_nothing_given_a_node_has_working_defaults() {
    let settings = load(RunArgs::default(), &[("HOME", "/home/anna")]).unwrap();
    assert_eq!(settings.name.as_str(), "studio-pc");
    assert_eq!(
        settings.data_dir,
        PathBuf::from("/home/anna/.local/share/antiphon")
    );
    assert_eq!(settings.listen, "0.0.0.0:8000".parse().unwrap());
    assert_eq!(settings.public_url, None);
    assert!(settings.join.is_empty());
    assert_eq!(settings.secret_file, None);
    assert_eq!(settings.max_listeners, 1_000);
    assert_eq!(settings.max_bandwidth_bps, 1_000_000_000);
    assert_eq!(settings.rank, Rank(100));
    assert_eq!(settings.geo_database, None);
    assert_eq!(settings.place, Whereabouts::default());
    assert!(settings.trusted_proxies.is_empty());
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let (_file, mut flags) = flags_with_file(
        "rank = 1\nmax_listeners = 1\nmax_bandwidth = \"1M\"\njoin = [\"a:1\", \"b:2\"]",
    );
    flags.rank = Some(3);
    let variables = [
        ("HOME", "/h"),
        ("ANTIPHON_RANK", "2"),
        ("ANTIPHON_MAX_LISTENERS", "2"),
        ("ANTIPHON_JOIN", " c:3 , d:4,"),
        ("ANTIPHON_NAME", ""),
        ("ANTIPHON_COUNTRY", "at"),
        ("ANTIPHON_TRUSTED_PROXIES", "::1, 10.0.0.0/8"),
        ("ANTIPHON_TRANSCODE", "true"),
        ("ANTIPHON_MAX_TRANSCODERS", "2"),
    ];
    let settings = load(flags, &variables).unwrap();
    assert_eq!(settings.rank, Rank(3));
    assert_eq!(settings.max_listeners, 2);
    assert_eq!(settings.max_bandwidth_bps, 1_000_000);
    assert_eq!(settings.join, ["c:3", "d:4"]);
    assert_eq!(settings.name.as_str(), "studio-pc");
    assert_eq!(settings.place.country, "at".parse().ok());
    assert_eq!(settings.trusted_proxies.len(), 2);
    assert!(settings.transcoding.is_on);
    assert_eq!(settings.transcoding.most, 2);
}

#[test]
fn every_key_of_the_file_is_read() {
    let (_file, flags) = flags_with_file(
        "name = 'n1'\ndata_dir = '/d'\nlisten = '[::]:9'\nshoutcast_listen = 10\n\
         listen_http = 80\nlisten_https = '0.0.0.0:443'\ntls_cert = '/c.pem'\ntls_key = '/k.pem'\n\
         shoutcast_mount = '/radio.mp3'\npublic_url = 'HTTP://Radio.Example:9'\n\
         public_https_url = 'https://radio.example'\nhttps_redirect = 'all'\nrequire_tls_for = ['source']\n\
         mesh_address = '192.0.2.7:9'\n\
         join = ['p:1']\nfound = true\nsecret_file = '/s'\nmax_listeners = 7\nmax_sources = 6\nmax_bandwidth = 8000\nrank = 9\nquorum = 3\n\
         geo_database = '/g'\ncountry = 'DE'\nposition = '-33.9,151.2'\n\
         trusted_proxies = ['10.0.0.0/8', '::1/128']\nweb_root = '/w'\nmedia_dir = '/m'\nhttp_headers = ['X-A: 1']\nlog = 'debug'\n\
         admin = 'me@radio.example'\nlocation = 'Graz'\nhttps = 'mailto:me@radio.example'\n\
         transcode = true\ntranscode_engine = 'liquidsoap'\ntranscode_user = '1000:1000'\nmax_transcoders = 3\n\
         transcode_memory_mib = 256\n\
         addresses = ['192.0.2.7']\nengine = 'icecast'\n[dns]\nzone = 'radio.example'\n\
         [icecast]\nprogram = '/p'\nuser = 'u'\nport = 1\nfolder = '/f'\nadopt = true\nreload_command = ['r']\n\
         [logs]\nfolder = '/l'\naccess = false\nplaylist = false\nformat = 'json'\naddress_privacy = 'hashed'\nmax_mib = 8\nkeep = 2",
    );
    let settings = load(flags, &[]).unwrap();
    let expected = Settings {
        name: NodeName::try_from("n1").unwrap(),
        data_dir: "/d".into(),
        listen: "[::]:9".parse().unwrap(),
        shoutcast_listen: "[::]:10".parse().ok(),
        listen_http: "[::]:80".parse().ok(),
        listen_https: "0.0.0.0:443".parse().ok(),
        tls: Some(TlsFiles {
            cert: "/c.pem".into(),
            key: "/k.pem".into(),
        }),
        shoutcast_mount: "/radio.mp3".parse().ok(),
        public_url: Some("http://radio.example:9".parse().unwrap()),
        public_https_url: Some("https://radio.example".parse().unwrap()),
        plain_http: PlainHttpSettings {
            redirect: Some(HttpsRedirect::All),
            refused: [TlsUse::Source].into(),
        },
        mesh_address: Some("192.0.2.7:9".parse().unwrap()),
        addresses: vec!["192.0.2.7".parse().unwrap()],
        dns: Some(toml::from_str("zone = 'radio.example'").unwrap()),
        join: vec!["p:1".to_owned()],
        found: true,
        secret_file: Some("/s".into()),
        max_listeners: 7,
        max_sources: 6,
        max_bandwidth_bps: 8_000,
        rank: Rank(9),
        quorum: Quorum::AtLeast(3),
        geo_database: Some("/g".into()),
        place: Whereabouts {
            country: "de".parse().ok(),
            position: "-33.9,151.2".parse().ok(),
        },
        trusted_proxies: ["10.0.0.0/8", "::1"].map(|it| it.parse().unwrap()).into(),
        icecast: Some(IcecastSettings {
            program: Some("/p".into()),
            user: "u".parse().ok(),
            port: Some(1),
            folder: Some("/f".into()),
            adopt: true,
            reload_command: vec!["r".to_owned()],
        }),
        web_root: Some("/w".into()),
        media_dir: "/m".into(),
        http_headers: "X-A: 1".parse().unwrap(),
        admin: "me@radio.example".parse().ok(),
        location: "Graz".parse().ok(),
        https: "me@radio.example".parse().ok(),
        transcoding: Transcoding {
            is_on: true,
            engine: Some(TranscodeEngine::Liquidsoap),
            user: Some(SystemUser {
                name: "1000:1000".to_owned(),
                uid: 1_000,
                gid: 1_000,
                home: PathBuf::new(),
            }),
            most: 3,
            memory_mib: 256,
        },
        log: "debug".parse().unwrap(),
        logs: LogsSettings {
            folder: "/l".into(),
            access: false,
            playlist: false,
            format: LogFormat::Json,
            address_privacy: AddressPrivacy::Hashed,
            max_bytes: 8 << 20,
            keep: 2,
        },
    };
    assert_eq!(settings, expected);
}

#[test]
fn the_file_in_the_usual_place_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let variables = [("XDG_CONFIG_HOME", home), ("HOME", "/h")];
    assert_eq!(
        load(RunArgs::default(), &variables).unwrap().rank,
        Rank(100)
    );
    fs::create_dir(dir.path().join("antiphon")).unwrap();
    fs::write(dir.path().join("antiphon/antiphon.toml"), "rank = 5").unwrap();
    assert_eq!(load(RunArgs::default(), &variables).unwrap().rank, Rank(5));
}

#[test]
fn the_log_filter_comes_from_the_nearest_layer() {
    let (_file, flags) = flags_with_file("log = 'warn'");
    let home = ("HOME", "/h");
    let log = |flags: &RunArgs, variables: &[(&str, &str)]| {
        load(flags.clone(), variables).unwrap().log.to_string()
    };
    let theirs = ("RUST_LOG", "debug");
    assert_eq!(
        log(&flags, &[home, theirs, ("ANTIPHON_LOG", "error")]),
        "error"
    );
    assert_eq!(log(&flags, &[home, theirs]), "warn");
    let none = RunArgs::default();
    assert_eq!(log(&none, &[home, theirs]), "debug");
    // A filter for other programs switches nothing off here.
    assert_eq!(log(&none, &[home, ("RUST_LOG", "other_program")]), "info");
}

#[test]
fn a_bad_variable_is_named_with_its_value() {
    for (name, value) in [
        ("ANTIPHON_NAME", "Bad_Name"),
        ("ANTIPHON_LISTEN", "8000"),
        ("ANTIPHON_PUBLIC_URL", "https://x"),
        ("ANTIPHON_JOIN", "a:1,b"),
        ("ANTIPHON_MAX_LISTENERS", "many"),
        ("ANTIPHON_MAX_BANDWIDTH", "100X"),
        ("ANTIPHON_RANK", "-1"),
        ("ANTIPHON_COUNTRY", "Austria"),
        ("ANTIPHON_POSITION", "91,0"),
        ("ANTIPHON_TRUSTED_PROXIES", "::1,10.0.0.1/8"),
        ("ANTIPHON_TRANSCODE", "perhaps"),
        ("ANTIPHON_TRANSCODE_ENGINE", "gstreamer"),
        ("ANTIPHON_MAX_TRANSCODERS", "many"),
        ("ANTIPHON_TRANSCODE_MEMORY_MIB", "1G"),
        ("ANTIPHON_LOG", "warm"),
    ] {
        let error = load(RunArgs::default(), &[("HOME", "/h"), (name, value)]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(value), "{text}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let flags = RunArgs {
        config: Some("/no/such/file.toml".into()),
        ..RunArgs::default()
    };
    let error = load(flags, &[("HOME", "/h")]).unwrap_err();
    assert!(matches!(error, SettingsError::Unreadable(..)), "{error}");
}

#[test]
fn a_node_cannot_pass_for_an_outside_server() {
    let flags = RunArgs {
        name: "outside-1".parse().ok(),
        ..RunArgs::default()
    };
    let error = load(flags, &[("HOME", "/h")]).unwrap_err();
    assert!(matches!(error, SettingsError::Name(_)), "{error}");
}

#[test]
fn the_second_port_is_not_the_first_one() {
    let load = |shoutcast: &str| {
        let variables = [("HOME", "/h"), ("ANTIPHON_SHOUTCAST_LISTEN", shoutcast)];
        super::tests::load(RunArgs::default(), &variables)
    };
    let error = load("8000").unwrap_err().to_string();
    assert!(
        error.starts_with("shoutcast_listen is 0.0.0.0:8000, where"),
        "{error}"
    );
    assert!(load("8001").is_ok());
}

#[test]
fn the_ports_of_http_and_https_are_not_the_first_one() {
    for (variable, key) in [
        ("ANTIPHON_LISTEN_HTTP", "listen_http"),
        ("ANTIPHON_LISTEN_HTTPS", "listen_https"),
    ] {
        let error = load(RunArgs::default(), &[("HOME", "/h"), (variable, "8000")]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{key} is 0.0.0.0:8000, where")),
            "{error}"
        );
    }
}

#[test]
fn a_key_may_stand_with_its_certificate_but_not_alone() {
    let load = |variable: &str| load(RunArgs::default(), &[("HOME", "/h"), (variable, "/a.pem")]);
    let tls = load("ANTIPHON_TLS_CERT").unwrap().tls.unwrap();
    assert_eq!(tls.key, tls.cert);
    let alone = load("ANTIPHON_TLS_KEY").unwrap_err();
    assert!(matches!(alone, SettingsError::KeyAlone), "{alone}");
}

#[test]
fn without_a_home_the_data_directory_must_be_given() {
    let error = load(RunArgs::default(), &[]).unwrap_err();
    assert!(matches!(error, SettingsError::NoHome));
}
