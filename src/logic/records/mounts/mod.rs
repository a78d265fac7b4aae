//! Mount specs as records of the replicated document.
//!
//! A record may be half a mount, when it was deleted on one node and edited on another at the same
//! time: then it has no password, so it is listed as skipped and no source can use it.

mod admitting;
mod fields;
mod laddering;
mod relaying;
mod transcoding;

use std::collections::BTreeMap;

pub use self::relaying::{RelayFault, is_about_relaying, relay_fault};
pub use self::transcoding::{complete, is_about_transcoding, names_source};
use super::kind::{BadRecord, Kind};
use crate::logic::document::Document;
use crate::logic::ladder::{FALLBACK, SWITCHED_TO};
use crate::model::fallback::Fallbacks;
use crate::model::mount::{MountName, MountSpec};
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};
use crate::model::switch::Switch;

/// The mounts. In a key, the path stands without its leading slash.
pub static MOUNT_KIND: Kind<MountSpec> = Kind {
    noun: "a mount",
    prefix: "mount/",
    fields: fields::FIELDS,
    unset: || MountSpec::new(MountName::try_from("/unset").expect("a plain path")),
};

/// The fallbacks that an edit sets, if it sets them.
pub fn fallbacks_in(edit: &BTreeMap<String, Value>) -> Option<Fallbacks> {
    match edit.get(FALLBACK)? {
        Value::Text(list) => Some(Fallbacks::known(list)),
        _ => Some(Fallbacks::default()),
    }
}

/// The order to switch a mount that an edit gives, if it gives one.
pub fn switch_in(edit: &BTreeMap<String, Value>) -> Option<Switch> {
    match edit.get(SWITCHED_TO)? {
        Value::Text(order) => order.parse().ok(),
        _ => None,
    }
}

/// All mounts of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountListing {
    /// The mounts, by path.
    pub mounts: BTreeMap<MountName, MountSpec>,
    /// The records that should be mounts and are not, and the reason.
    pub skipped: Vec<(RecordKey, BadRecord)>,
}

/// The key of a mount's record.
pub fn key(path: &MountName) -> RecordKey {
    MOUNT_KIND.key(path.as_str().trim_start_matches('/'))
}

/// The spec that a record describes. Unknown fields are no reason to refuse it.
pub fn spec(path: MountName, record: &Record) -> Result<MountSpec, BadRecord> {
    let mut spec = MountSpec::new(path);
    MOUNT_KIND.load(&mut spec, record).map(|()| spec)
}

/// The mount as an edit would leave it: the first reason against it is the error.
pub fn edited(
    path: &MountName,
    before: Option<&Record>,
    edit: &BTreeMap<String, Value>,
) -> Result<MountSpec, BadRecord> {
    let mut spec = MountSpec::new(path.clone());
    let outcome = MOUNT_KIND.load_edited(&mut spec, before, edit);
    outcome.map(|()| spec)
}

/// The live mounts of a document, and the records that should be mounts and are not.
pub fn list(document: &Document) -> MountListing {
    let mut listing = MountListing::default();
    for found in MOUNT_KIND.records(document) {
        let path = MountName::try_from(format!("/{}", found.name));
        let read = match path {
            Ok(path) => spec(path, found.record),
            Err(_) => Err(BadRecord::Key(MOUNT_KIND.noun)),
        };
        match read {
            Ok(spec) => drop(listing.mounts.insert(spec.path.clone(), spec)),
            Err(why) => listing.skipped.push((found.key.clone(), why)),
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::kind::BadSetting;
    use crate::model::node::NodeName;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
    const RADIO: [(&str, &str); 10] = [
        ("password", HASH),
        ("user", "dj-anna"),
        ("name", "Radio é"),
        ("genre", "jazz"),
        ("url", "https://radio.example/"),
        ("max_listeners", "7"),
        ("charset", "koi8-r"),
        ("redirect", "false"),
        ("overflow_url", "https://cdn.example/radio"),
        ("countries", "!us"),
    ];

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    fn radio() -> MountSpec {
        let mut spec = MountSpec {
            password_hash: HASH.to_owned(),
            user: "dj-anna".parse().unwrap(),
            name: "Radio é".to_owned(),
            genre: "jazz".to_owned(),
            url: "https://radio.example/".to_owned(),
            max_listeners: Some(7),
            charset: "koi8-r".parse().unwrap(),
            ..MountSpec::new(mount("/radio.mp3"))
        };
        spec.steering.redirect = false;
        spec.steering.overflow_url = "https://cdn.example/radio".to_owned();
        spec.steering.countries = "!us".parse().unwrap();
        spec
    }

    fn document() -> Document {
        Document::new(NodeName::try_from("a").unwrap())
    }

    fn fields(settings: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let changes = MOUNT_KIND.changes(settings.iter().copied());
        changes.unwrap().into_fields()
    }

    #[test]
    fn a_spec_survives_its_record() {
        let (mut document, spec) = (document(), radio());
        document.edit(&key(&spec.path), fields(&RADIO), 1).unwrap();
        let listing = list(&document);
        assert_eq!(listing.skipped, []);
        assert_eq!(listing.mounts[&spec.path], spec);
        assert_eq!(key(&mount("/a/b")).as_str(), "mount/a/b");
    }

    #[test]
    fn the_longest_mount_has_a_key() {
        let segment = format!("/{}", "x".repeat(MountName::MAX_SEGMENT_BYTES));
        let longest = mount(&segment.repeat(MountName::MAX_SEGMENTS));
        let (mut document, key) = (document(), key(&longest));
        document.edit(&key, fields(&RADIO), 1).unwrap();
        assert!(list(&document).mounts.contains_key(&longest));
    }

    #[test]
    fn an_edit_changes_one_field_and_nothing_clears_it() {
        let (mut document, spec) = (document(), radio());
        let key = key(&spec.path);
        document.edit(&key, fields(&RADIO), 1).unwrap();
        let changes = fields(&[("name", "New=Name"), ("max_listeners", "")]);
        document.edit(&key, changes, 2).unwrap();
        let expected = MountSpec {
            name: "New=Name".to_owned(),
            max_listeners: None,
            ..spec.clone()
        };
        assert_eq!(list(&document).mounts[&spec.path], expected);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_fields_name() {
        let long = "x".repeat(super::super::texts::MAX_TEXT_BYTES + 1);
        for (field, value) in [
            ("user", "a:b"),
            ("user", "admin"),
            ("name", "a\nb"),
            ("description", "a\u{85}b"),
            ("genre", &long),
            ("url", "ftp://x"),
            ("url", "http://"),
            ("url", "https:///x"),
            ("url", "http://a b"),
            ("url", "javascript:x"),
            ("max_listeners", "0"),
            ("max_listeners", "-1"),
            ("max_listeners", "many"),
            ("max_per_address", "0"),
            ("max_listener_s", "1h"),
            ("linger_s", "601"),
            ("source_timeout_s", "1"),
            ("source_timeout_s", "601"),
            ("ring_s", "9"),
            ("ring_s", "121"),
            ("ring_mib", "0"),
            ("ring_mib", "65"),
            ("linger_s", ""),
            ("takeover", "yes"),
            ("standby", "maybe"),
            ("charset", "klingon"),
            ("charset", "iso-2022-kr"),
            ("intro", "../intro.mp3"),
            ("intro", ".intro"),
            ("http_headers", "X-A"),
            ("http_headers", "Content-Length: 5"),
            ("policy", "watr"),
            ("redirect", "off"),
            ("overflow_url", "cdn"),
            ("overflow_url", "https://user:pw@cdn.example/r"),
            ("overflow_url", "https://cdn.example/r?x"),
            ("overflow_percent", "0"),
            ("overflow_percent", "101"),
            ("countries", "germany"),
            ("countries", "de,!us"),
            ("password", "hunter2"),
            ("password", "$argon2i$x"),
        ] {
            let error = MOUNT_KIND
                .changes([(field, value)])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for (field, value) in [
            ("user", ""),
            ("url", ""),
            ("url", "http://a"),
            ("name", ""),
            ("max_listeners", "1"),
            ("max_per_address", "2"),
            ("max_listener_s", ""),
            ("linger_s", "0"),
            ("source_timeout_s", "2"),
            ("ring_s", "120"),
            ("ring_mib", "64"),
            ("takeover", "takeover"),
            ("standby", "true"),
            ("charset", "Windows-1251"),
            ("charset", ""),
            ("intro", "My intro.mp3"),
            ("http_headers", ""),
            ("http_headers", "X-A: 1 | 404 X-B: 2"),
            ("policy", ""),
            ("policy", "tag(n1),water"),
            ("redirect", "false"),
            ("overflow_url", "https://cdn.example/r"),
            ("overflow_percent", "95"),
            ("countries", "de,at"),
        ] {
            assert!(
                MOUNT_KIND.changes([(field, value)]).is_ok(),
                "{field}={value}"
            );
        }
    }

    #[test]
    fn a_bad_record_is_skipped_and_the_others_are_listed() {
        let mut document = document();
        let mut put = |key: &str, name: &str, value: Value| {
            let key = RecordKey::try_from(key).unwrap();
            let mut fields = fields(&RADIO);
            fields.insert(name.to_owned(), value);
            document.edit(&key, fields, 1).unwrap();
        };
        let text = |text: &str| Value::Text(text.to_owned());
        put("mount/radio.mp3", "unknown-yet", Value::Flag(true));
        put("mount/newer.mp3", "policy", text("unknown_yet,water"));
        put("mount/charset.mp3", "charset", text("unknown-yet"));
        put("mount/../x", "name", Value::Nothing);
        put("mount/half", "password_hash", Value::Nothing);
        put("mount/kind", "name", Value::Number(1));
        put("mount/limit", "max_listeners", Value::Number(-1));
        put("mount/rule", "url", text("gopher://x"));
        put("other", "name", Value::Number(1));
        let listing = list(&document);
        let listed = ["/charset.mp3", "/newer.mp3", "/radio.mp3"].map(mount);
        assert_eq!(listing.mounts.into_keys().collect::<Vec<_>>(), listed);
        let why = listing.skipped.into_iter().map(|(_, why)| match why {
            BadRecord::Setting(BadSetting::Value { field, .. }) => field,
            BadRecord::Missing(field) => field,
            BadRecord::Key(noun) => noun,
            other => panic!("{other}"),
        });
        let why: Vec<_> = why.collect();
        let expected = ["a mount", "password_hash", "name", "max_listeners", "url"];
        assert_eq!(why, expected);
    }
}
