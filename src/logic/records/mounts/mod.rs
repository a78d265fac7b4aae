//! Mount specs as records of the replicated document, and the administrator's record beside them.
//!
//! A record may be half a mount, when it was deleted on one node and edited on another at the same
//! time: then it has no password, so it is listed as skipped and no source can use it.

mod edit;

use std::collections::BTreeMap;

pub use self::edit::{BadSetting, MAX_LINGER_S, MAX_TEXT_BYTES, MountEdit};
use self::edit::{PASSWORD_HASH, check_hash};
use super::fields::{WrongKind, flag, number, text};
use crate::logic::document::Document;
use crate::model::caption::caption;
use crate::model::geo::CountryRule;
use crate::model::mount::{MountName, MountSpec, MountSteering, Takeover};
use crate::model::node::NodeName;
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};

/// The prefix of the keys of mounts; the path without its leading slash follows.
const KEY_PREFIX: &str = "mount/";
/// Why a record of the document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The key names no mount.
    #[error("its key is not a mount")]
    Key,
    /// The record lacks a field that it needs.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// A field holds another kind of value.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// A field breaks a rule.
    #[error(transparent)]
    Setting(#[from] BadSetting),
}

/// All mounts of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The mounts, by path.
    pub mounts: BTreeMap<MountName, MountSpec>,
    /// The records that should be mounts and are not, and the reason.
    pub skipped: Vec<(RecordKey, BadRecord)>,
}

/// The key of a mount's record.
pub fn key(path: &MountName) -> RecordKey {
    let path = path.as_str().trim_start_matches('/');
    RecordKey::try_from(format!("{KEY_PREFIX}{path}")).expect("a mount fits a key")
}

/// The mount that a key names; `None` if it is not the key of a mount.
pub fn path(key: &RecordKey) -> Option<MountName> {
    let path = key.as_str().strip_prefix(KEY_PREFIX)?;
    MountName::try_from(format!("/{path}")).ok()
}

/// All settings of a spec as edits; the first that breaks a rule is the error.
pub fn edits(spec: &MountSpec) -> Result<Vec<MountEdit>, BadSetting> {
    let edits = vec![
        MountEdit::PasswordHash(spec.password_hash.clone()),
        MountEdit::Name(spec.name.clone()),
        MountEdit::Description(spec.description.clone()),
        MountEdit::Genre(spec.genre.clone()),
        MountEdit::Url(spec.url.clone()),
        MountEdit::MaxListeners(spec.max_listeners),
        MountEdit::Linger(spec.linger_s),
        MountEdit::Takeover(spec.takeover),
        MountEdit::Standby(spec.standby),
        MountEdit::Charset(spec.charset),
        MountEdit::Policy(spec.steering.policy.clone()),
        MountEdit::Redirect(spec.steering.redirect),
        MountEdit::OverflowUrl(spec.steering.overflow_url.clone()),
        MountEdit::OverflowPercent(spec.steering.overflow_percent),
        MountEdit::Countries(spec.steering.countries.clone()),
    ];
    edits.iter().try_for_each(MountEdit::check)?;
    Ok(edits)
}

/// The fields of some edits, for [`Document::edit`].
pub fn fields(edits: impl IntoIterator<Item = MountEdit>) -> BTreeMap<String, Value> {
    edits.into_iter().map(MountEdit::into_field).collect()
}

/// The spec that a record describes. Unknown fields are no reason to refuse it.
pub fn spec(path: MountName, record: &Record) -> Result<MountSpec, BadRecord> {
    let max_listeners = number(record, "max_listeners")?
        .map(u32::try_from)
        .transpose()
        .map_err(|_| BadSetting::MaxListeners)?;
    let linger_s =
        number(record, "linger_s")?.map_or(Ok(MountSpec::DEFAULT_LINGER_S), u32::try_from);
    let spec = MountSpec {
        path,
        password_hash: password_hash(record)?,
        name: shown(record, "name")?,
        description: shown(record, "description")?,
        genre: shown(record, "genre")?,
        url: text(record, "url")?.unwrap_or_default(),
        max_listeners,
        linger_s: linger_s.map_err(|_| BadSetting::Linger)?,
        takeover: match text(record, "takeover")? {
            None => Takeover::default(),
            Some(word) => word.parse().map_err(BadSetting::Takeover)?,
        },
        standby: flag(record, "standby")?.unwrap_or_default(),
        // A name that this node does not know must not take the mount off the air.
        charset: text(record, "charset")?
            .and_then(|name| name.parse().ok())
            .unwrap_or_default(),
        steering: steering(record)?,
    };
    edits(&spec)?;
    Ok(spec)
}

/// A text for listeners; another version may have written it with invisible characters.
fn shown(record: &Record, field: &'static str) -> Result<String, WrongKind> {
    let text = text(record, field)?.unwrap_or_default();
    match text.contains(char::is_control) {
        true => Ok(text), // Refused with an error of its own.
        false => Ok(caption(&text)),
    }
}

fn steering(record: &Record) -> Result<MountSteering, BadRecord> {
    let usual = MountSteering::default();
    let percent =
        number(record, "overflow_percent")?.map_or(Ok(usual.overflow_percent), u32::try_from);
    Ok(MountSteering {
        policy: text(record, "policy")?.unwrap_or_default(),
        redirect: flag(record, "redirect")?.unwrap_or(usual.redirect),
        overflow_url: text(record, "overflow_url")?.unwrap_or_default(),
        overflow_percent: percent.map_err(|_| BadSetting::OverflowPercent)?,
        countries: match text(record, "countries")? {
            None => CountryRule::default(),
            Some(rule) => rule.parse().map_err(BadSetting::Countries)?,
        },
    })
}

/// The live mounts of a document, and the records that should be mounts and are not.
pub fn list(document: &Document) -> Listing {
    let mut listing = Listing::default();
    for (key, record) in document.live() {
        if !key.as_str().starts_with(KEY_PREFIX) {
            continue;
        }
        let mount = path(key).ok_or(BadRecord::Key);
        match mount.and_then(|path| spec(path, record)) {
            Ok(spec) => drop(listing.mounts.insert(spec.path.clone(), spec)),
            Err(why) => listing.skipped.push((key.clone(), why)),
        }
    }
    listing
}

/// The key of the administrator's record.
pub fn admin_key() -> RecordKey {
    RecordKey::try_from("admin").expect("a short word is a key")
}

/// The fields of the administrator's record.
pub fn admin_fields(password_hash: &str) -> Result<BTreeMap<String, Value>, BadSetting> {
    let edit = MountEdit::of(PASSWORD_HASH, password_hash)?;
    Ok(BTreeMap::from([edit.into_field()]))
}

/// The Argon2id hash of the administrator's password; `None` while none is set.
pub fn admin_password_hash(document: &Document) -> Result<Option<String>, BadRecord> {
    document.get(&admin_key()).map(password_hash).transpose()
}

/// The node that wrote the administrator's password.
pub fn admin_password_writer(document: &Document) -> Option<NodeName> {
    let register = document.get(&admin_key())?.fields().get(PASSWORD_HASH)?;
    Some(register.stamp.node.clone())
}

fn password_hash(record: &Record) -> Result<String, BadRecord> {
    let hash = text(record, PASSWORD_HASH)?.ok_or(BadRecord::Missing(PASSWORD_HASH))?;
    check_hash(&hash)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    fn radio() -> MountSpec {
        MountSpec {
            path: mount("/radio.mp3"),
            password_hash: HASH.to_owned(),
            name: "Radio é".to_owned(),
            description: String::new(),
            genre: "jazz".to_owned(),
            url: "https://radio.example/".to_owned(),
            max_listeners: Some(7),
            linger_s: MountSpec::DEFAULT_LINGER_S,
            takeover: crate::model::mount::Takeover::Refuse,
            standby: false,
            charset: "koi8-r".parse().unwrap(),
            steering: MountSteering {
                redirect: false,
                overflow_url: "https://cdn.example/radio".to_owned(),
                overflow_percent: 90,
                countries: "!us".parse().unwrap(),
                ..MountSteering::default()
            },
        }
    }

    fn document() -> Document {
        Document::new(NodeName::try_from("a").unwrap())
    }

    #[test]
    fn a_spec_survives_its_record() {
        let (mut document, spec) = (document(), radio());
        let written = fields(edits(&spec).unwrap());
        document.edit(&key(&spec.path), written, 1).unwrap();
        let listing = list(&document);
        assert_eq!(listing.skipped, []);
        assert_eq!(listing.mounts[&spec.path], spec);
        assert_eq!(key(&mount("/a/b")).as_str(), "mount/a/b");
        assert_eq!(path(&key(&spec.path)), Some(spec.path));
    }

    #[test]
    fn the_longest_mount_has_a_key() {
        let segment = format!("/{}", "x".repeat(MountName::MAX_SEGMENT_BYTES));
        let longest = mount(&segment.repeat(MountName::MAX_SEGMENTS));
        assert_eq!(path(&key(&longest)), Some(longest));
    }

    #[test]
    fn an_edit_changes_one_field_and_an_empty_limit_clears_it() {
        let (mut document, spec) = (document(), radio());
        let key = key(&spec.path);
        document
            .edit(&key, fields(edits(&spec).unwrap()), 1)
            .unwrap();
        let edits = [("name", "New=Name"), ("max_listeners", "")];
        let edits = edits.map(|(key, value)| MountEdit::of(key, value).unwrap());
        document.edit(&key, fields(edits), 2).unwrap();
        let expected = MountSpec {
            name: "New=Name".to_owned(),
            max_listeners: None,
            ..spec.clone()
        };
        assert_eq!(list(&document).mounts[&spec.path], expected);
    }

    #[test]
    fn a_bad_value_is_refused_with_the_name_of_its_field() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        for (field, value) in [
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
            ("linger_s", "601"),
            ("linger_s", ""),
            ("takeover", "yes"),
            ("standby", "maybe"),
            ("charset", "klingon"),
            ("charset", "iso-2022-kr"),
            ("policy", "watr"),
            ("redirect", "off"),
            ("overflow_url", "cdn"),
            ("overflow_url", "https://user:pw@cdn.example/r"),
            ("overflow_url", "https://cdn.example/r?x"),
            ("overflow_percent", "0"),
            ("overflow_percent", "101"),
            ("countries", "germany"),
            ("countries", "de,!us"),
            ("password_hash", "hunter2"),
            ("password_hash", "$argon2i$x"),
        ] {
            let error = MountEdit::of(field, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
        for (field, value) in [
            ("url", ""),
            ("url", "http://a"),
            ("name", ""),
            ("max_listeners", "1"),
            ("linger_s", "0"),
            ("takeover", "takeover"),
            ("standby", "true"),
            ("charset", "Windows-1251"),
            ("charset", ""),
            ("policy", ""),
            ("policy", "tag(n1),water"),
            ("redirect", "false"),
            ("overflow_url", "https://cdn.example/r"),
            ("overflow_percent", "95"),
            ("countries", "de,at"),
        ] {
            assert!(MountEdit::of(field, value).is_ok(), "{field}={value}");
        }
    }

    #[test]
    fn an_unknown_setting_is_answered_with_the_nearest_one_first() {
        let error = |key| MountEdit::of(key, "hunter2").unwrap_err().to_string();
        let listeners = error("max_listener");
        let expected = r#"unknown setting "max_listener"; known are max_listeners, "#;
        assert!(listeners.starts_with(expected), "{listeners}");
        assert!(error("nme").contains("known are name, "));
        let passwords = error("pasword");
        assert!(passwords.contains("known are password, "), "{passwords}");
        assert!(!passwords.contains("password_hash") && !passwords.contains("hunter2"));
    }

    #[test]
    fn a_bad_record_is_skipped_and_told_and_the_others_are_listed() {
        let (mut document, spec) = (document(), radio());
        let good = fields(edits(&spec).unwrap());
        let mut put = |key: &str, name: &str, value: Value| {
            let key = RecordKey::try_from(key).unwrap();
            let mut fields = good.clone();
            fields.insert(name.to_owned(), value);
            document.edit(&key, fields, 1).unwrap();
        };
        put("mount/radio.mp3", "unknown-yet", Value::Flag(true));
        put(
            "mount/newer.mp3",
            "policy",
            Value::Text("unknown_yet,water".to_owned()),
        );
        put(
            "mount/charset.mp3",
            "charset",
            Value::Text("unknown-yet".to_owned()),
        );
        put("mount/../x", "name", Value::Nothing);
        put("mount/half", PASSWORD_HASH, Value::Nothing);
        put("mount/kind", "name", Value::Number(1));
        put("mount/limit", "max_listeners", Value::Number(-1));
        put("mount/rule", "url", Value::Text("gopher://x".to_owned()));
        put("other", "name", Value::Number(1));
        let listing = list(&document);
        let (newer, charset) = (mount("/newer.mp3"), mount("/charset.mp3"));
        assert_eq!(
            listing.mounts.keys().collect::<Vec<_>>(),
            [&charset, &newer, &spec.path]
        );
        let why: Vec<_> = listing.skipped.into_iter().map(|(_, why)| why).collect();
        let expected = [
            BadRecord::Key,
            BadRecord::Missing(PASSWORD_HASH),
            BadRecord::Kind(WrongKind("name")),
            BadRecord::Setting(BadSetting::MaxListeners),
            BadRecord::Setting(BadSetting::Url),
        ];
        assert_eq!(why, expected);
    }

    #[test]
    fn of_two_founded_admin_passwords_the_older_stays_and_a_set_one_wins() {
        const TODAY_MS: u64 = 1_750_000_000_000;
        let document = |name: &str| Document::new(NodeName::try_from(name).unwrap());
        let (mut mesh, mut newcomer) = (document("a"), document("z"));
        let hash = |letter: &str| format!("{HASH}{letter}");
        let fields = |letter| admin_fields(&hash(letter)).unwrap();
        let older = mesh.found(&admin_key(), fields("old"), TODAY_MS).unwrap();
        let younger = newcomer.found(&admin_key(), fields("new"), TODAY_MS + 60_000);
        let share = |to: &mut Document, record: Record| {
            let records = BTreeMap::from([(admin_key(), record)]);
            to.apply(records, TODAY_MS + 120_000);
            admin_password_hash(to).unwrap()
        };
        assert_eq!(share(&mut mesh, younger.unwrap()), Some(hash("old")));
        assert_eq!(share(&mut newcomer, older), Some(hash("old")));
        assert_eq!(
            admin_password_writer(&newcomer),
            NodeName::try_from("a").ok()
        );
        let set = newcomer
            .edit(&admin_key(), fields("set"), TODAY_MS)
            .unwrap();
        assert_eq!(share(&mut mesh, set), Some(hash("set")));
    }

    #[test]
    fn the_administrator_has_a_record_of_its_own() {
        let mut document = document();
        assert_eq!(admin_password_hash(&document), Ok(None));
        let written = admin_fields(HASH).unwrap();
        document.edit(&admin_key(), written, 1).unwrap();
        let hash = admin_password_hash(&document);
        assert_eq!(hash, Ok(Some(HASH.to_owned())));
        assert_eq!(admin_fields("plain"), Err(BadSetting::PasswordHash));
        assert_eq!(list(&document), Listing::default());
    }
}
