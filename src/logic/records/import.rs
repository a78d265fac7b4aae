//! The settings of imports, as the one record of their kind in the document.

use std::collections::BTreeMap;

use super::field::{Field, FieldKind, FlagWords};
use super::kind::{BadRecord, Kind};
use super::mistake::Mistake;
use crate::logic::document::Document;
use crate::logic::import::listing::list_address;
use crate::model::import::ImportSettings;
use crate::model::mount::MountName;
use crate::model::outside_relay::RelayAddresses;
use crate::model::record::key::RecordKey;

/// Seconds between two readings of a list: a server that is asked more often than each five has better things to do, and
/// after an hour nobody waits for a new stream any more.
const INTERVAL_S: [u32; 2] = [5, 3_600];
/// Seconds for which a mount is kept that is not listed any more: up to a week, for stations that send on Sundays.
const KEEP_S: [u32; 2] = [0, 604_800];

/// The imports.
pub static IMPORT_KIND: Kind<ImportSettings> = Kind {
    noun: "the import",
    prefix: "import",
    fields: FIELDS,
    unset: ImportSettings::default,
};

/// In the order in which they are shown.
const FIELDS: &[Field<ImportSettings>] = &[
    Field {
        key: "import_streamlist",
        help: "lists of streams on other servers, such as `http://relay:PASSWORD@master.example:8000`, where \
               `/admin/streamlist.txt` is asked for; several with commas, at most 8: each of their streams is a mount here, \
               relayed from that server. Logins are never shown. Empty: nothing is imported",
        required: false,
        kind: FieldKind::Text {
            word: "URLS",
            clears: true,
            read: read_lists,
            put: |import, text| {
                import.lists = text.parse()?;
                Ok(())
            },
            show: |import| import.lists.to_string(),
        },
    },
    Field {
        key: "import_prefix",
        help: "what stands before the paths of imported mounts, such as `/partner`; empty: nothing",
        required: false,
        kind: FieldKind::Text {
            word: "/PREFIX",
            clears: true,
            read: read_prefix,
            put: |import, text| {
                import.prefix = read_prefix(text)?;
                Ok(())
            },
            show: |import| import.prefix.clone(),
        },
    },
    Field {
        key: "import_on_demand",
        help: "whether imported mounts get their streams only while somebody listens; counts for mounts that are imported from \
               then on",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::TrueFalse,
            put: |import, flag| import.on_demand = flag,
            get: |import| import.on_demand,
        },
    },
    Field {
        key: "import_interval_s",
        help: "seconds from one reading of the lists to the next: 5 to 3600",
        required: false,
        kind: FieldKind::Number {
            bounds: INTERVAL_S,
            example: 30,
            put: |import, seconds| import.interval_s = seconds,
            get: |import| import.interval_s,
        },
    },
    Field {
        key: "import_keep_s",
        help: "seconds for which a mount is kept that its list does not name any more: 0 to 604800. Icecast names a stream only \
               while its source is connected. A list that cannot be read takes no mount away",
        required: false,
        kind: FieldKind::Number {
            bounds: KEEP_S,
            example: 3_600,
            put: |import, seconds| import.keep_s = seconds,
            get: |import| import.keep_s,
        },
    },
];

/// Reads the addresses. A list that is named in two ways is read once only, and each of its mounts is of one address.
fn read_lists(text: &str) -> Result<String, Mistake> {
    let lists: RelayAddresses = text.parse()?;
    let mut named = BTreeMap::new();
    for list in lists.as_slice() {
        if let Some(other) = named.insert(list_address(list), list) {
            return Err(Mistake::new(format!(
                "{other} and {list} are the same list: name it once"
            )));
        }
    }
    Ok(lists.kept())
}

fn read_prefix(text: &str) -> Result<String, Mistake> {
    let prefix = text.trim_end_matches('/');
    let is_good = prefix.is_empty() || MountName::try_from(prefix).is_ok();
    match is_good {
        true => Ok(prefix.to_owned()),
        false => Err(Mistake::new(
            "must be like the path of a mount, such as `/partner`",
        )),
    }
}

/// The key of the record.
pub fn key() -> RecordKey {
    IMPORT_KIND.key("")
}

/// The settings in a document, and why the first one that cannot be read is not used.
pub fn settings(document: &Document) -> (ImportSettings, Option<BadRecord>) {
    let mut settings = ImportSettings::default();
    let record = document.get(&key());
    let loaded = record.map_or(Ok(()), |record| IMPORT_KIND.load(&mut settings, record));
    (settings, loaded.err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    #[test]
    fn settings_survive_their_record_and_hide_logins() {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        assert_eq!(settings(&document), (ImportSettings::default(), None));
        let set = [
            ("import_streamlist", "http://relay:pw@a:8000/x, https://b/y"),
            ("import_prefix", "/partner/"),
            ("import_on_demand", "true"),
            ("import_interval_s", "5"),
            ("import_keep_s", "0"),
        ];
        let changes = IMPORT_KIND.changes(set).unwrap();
        document.edit(&key(), changes.into_fields(), 1).unwrap();
        let (read, bad) = settings(&document);
        assert_eq!(
            (read.lists.as_slice().len(), &*read.prefix),
            (2, "/partner")
        );
        assert_eq!((read.interval_s, read.keep_s, read.on_demand), (5, 0, true));
        assert_eq!(bad, None);
        let line = IMPORT_KIND.line(&read);
        assert!(line.contains("=http://***@a:8000/x,https://b/y "), "{line}");
    }

    #[test]
    fn a_bad_value_is_refused_with_its_fields_name() {
        for (field, value) in [
            ("import_streamlist", "radio"),
            (
                "import_streamlist",
                "http://a:80/, http://a/admin/streamlist.txt",
            ),
            ("import_prefix", "partner"),
            ("import_prefix", "/admin/x"),
            ("import_interval_s", "4"),
            ("import_keep_s", "700000"),
        ] {
            let error = IMPORT_KIND.changes([(field, value)]).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
    }
}
