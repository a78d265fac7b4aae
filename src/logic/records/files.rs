//! Files that the mesh keeps, as records of the document.
//!
//! A record may be half a file, when it was deleted on one node and put on another at the same time: it is skipped.

use std::collections::BTreeMap;

use super::field::{Field, FieldKind};
use super::kind::{BadRecord, Changes, Kind};
use super::mistake::Mistake;
use crate::logic::document::Document;
use crate::model::file_name::FileName;
use crate::model::kept_file::{
    FileHash, KeptFile, KeptFiles, MAX_ALL_FILES_BYTES, MAX_FILE_BYTES, MAX_FILES,
};
use crate::model::record::key::RecordKey;

/// The files.
pub static FILE_KIND: Kind<KeptFile> = Kind {
    noun: "a file",
    prefix: "file/",
    fields: FIELDS,
    unset: || KeptFile {
        name: FileName::try_from("unset".to_owned()).expect("a plain name"),
        sha256: FileHash([0; 32]),
        bytes: 0,
        plays_ms: 0,
        format: String::new(),
    },
};

const FIELDS: &[Field<KeptFile>] = &[
    Field {
        key: "sha256",
        help: "the SHA-256 of its bytes, by which nodes ask each other for them",
        required: true,
        kind: FieldKind::Text {
            word: "HASH",
            clears: false,
            read: |text| hash(text).map(|hash| hash.to_string()),
            put: |file, text| {
                file.sha256 = hash(text)?;
                Ok(())
            },
            show: |file| file.sha256.to_string(),
        },
    },
    Field {
        key: "bytes",
        help: "its length",
        required: true,
        kind: FieldKind::Number {
            bounds: [1, MAX_FILE_BYTES],
            example: 160_000,
            put: |file, bytes| file.bytes = bytes,
            get: |file| file.bytes,
        },
    },
    Field {
        key: "plays_ms",
        help: "how long it plays, milliseconds",
        required: true,
        kind: FieldKind::Number {
            bounds: [1, u32::MAX],
            example: 10_000,
            put: |file, ms| file.plays_ms = ms,
            get: |file| file.plays_ms,
        },
    },
    Field {
        key: "format",
        help: "its format, in words",
        required: false,
        kind: FieldKind::Text {
            word: "TEXT",
            clears: true,
            read: |text| Ok(text.to_owned()),
            put: |file, text| {
                file.format = text.to_owned();
                Ok(())
            },
            show: |file| file.format.clone(),
        },
    },
];

fn hash(text: &str) -> Result<FileHash, Mistake> {
    text.parse()
        .map_err(|_| Mistake::new("must have 64 hexadecimal digits"))
}

/// Why there is no room for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFileRoom {
    /// No more files fit into the document.
    #[error(
        "there are {MAX_FILES} files, which is the most: delete some (antiphon file list, antiphon file delete NAME)"
    )]
    Files,
    /// All files together would have too many bytes.
    #[error(
        "the files of the mesh would have {} KiB, and may have {} KiB in all: delete some (antiphon file list, \
         antiphon file delete NAME), or encode this one at a lower bitrate",
        .0.div_ceil(1_024),
        MAX_ALL_FILES_BYTES / 1_024
    )]
    Bytes(u64),
}

/// The key of a file's record.
pub fn key(name: &FileName) -> RecordKey {
    FILE_KIND.key(name.as_str())
}

/// The fields of a file's record.
pub fn changes(file: &KeptFile) -> Changes<KeptFile> {
    let shown = FIELDS
        .iter()
        .map(|field| (field.key, field.show(file).unwrap_or_default()));
    let settings: Vec<(&str, String)> = shown.collect();
    let changes = FILE_KIND.changes(settings.iter().map(|(key, text)| (*key, text.as_str())));
    changes.expect("what was read of a file fits its record")
}

/// The files of a document, and the records that should be files and are not.
pub fn list(document: &Document) -> (KeptFiles, Vec<(RecordKey, BadRecord)>) {
    let (mut files, mut skipped) = (KeptFiles::new(), Vec::new());
    for found in FILE_KIND.records(document) {
        let read = match FileName::try_from(found.name.to_owned()) {
            Ok(_) if files.len() >= MAX_FILES => Err(BadRecord::TooMany(MAX_FILES)),
            Ok(name) => FILE_KIND
                .spec(found.record)
                .map(|file| KeptFile { name, ..file }),
            Err(_) => Err(BadRecord::Key(FILE_KIND.noun)),
        };
        match read {
            Ok(file) => drop(files.insert(file.name.clone(), file)),
            Err(why) => skipped.push((found.key.clone(), why)),
        }
    }
    (files, skipped)
}

/// Whether there is room for a file, in the place of one that has its name. Bytes that several names have are there once.
pub fn check_room(file: &KeptFile, files: &KeptFiles) -> Result<(), NoFileRoom> {
    let others = files.values().filter(|other| other.name != file.name);
    if others.clone().count() >= MAX_FILES {
        return Err(NoFileRoom::Files);
    }
    let contents = others
        .chain([file])
        .map(|it| (it.sha256, u64::from(it.bytes)));
    let all = contents.collect::<BTreeMap<_, _>>().into_values().sum();
    match all > MAX_ALL_FILES_BYTES {
        true => Err(NoFileRoom::Bytes(all)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    fn file(name: &str, bytes: u32) -> KeptFile {
        KeptFile {
            name: name.parse().unwrap(),
            sha256: FileHash(std::array::from_fn(|at| {
                name.as_bytes().get(at).copied().unwrap_or_default()
            })),
            bytes,
            plays_ms: 9_000,
            format: "MP3, 44.1 kHz, stereo".to_owned(),
        }
    }

    #[test]
    fn a_file_is_found_as_it_was_put() {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        let loop_file = file("loop.mp3", 5);
        let fields = changes(&loop_file).into_fields();
        document
            .edit(&key(&loop_file.name), fields.clone(), 1)
            .unwrap();
        document.edit(&FILE_KIND.key(".bad"), fields, 1).unwrap();
        let (files, skipped) = list(&document);
        assert_eq!(files, [(loop_file.name.clone(), loop_file)].into());
        assert_eq!(skipped.len(), 1);
    }

    #[test]
    fn all_files_together_have_a_bound() {
        let many = |count: u32, bytes| {
            let files = (0..count).map(|n| file(&format!("f{n}"), bytes));
            files
                .map(|file| (file.name.clone(), file))
                .collect::<KeptFiles>()
        };
        let (new, same) = (file("new", MAX_FILE_BYTES), file("f1", MAX_FILE_BYTES));
        assert_eq!(check_room(&new, &many(3, MAX_FILE_BYTES)), Ok(()));
        let full = many(4, MAX_FILE_BYTES);
        assert_eq!(check_room(&same, &full), Ok(()), "in its own place");
        let told = check_room(&new, &full).unwrap_err().to_string();
        assert!(
            told.contains("would have 81920 KiB, and may have 65536 KiB"),
            "{told}"
        );
        let again = KeptFile {
            sha256: same.sha256,
            ..new
        };
        assert_eq!(check_room(&again, &full), Ok(()), "the same bytes");
        let crowded = many(u32::try_from(MAX_FILES).unwrap(), 1);
        assert_eq!(check_room(&again, &crowded), Err(NoFileRoom::Files));
        assert_eq!(check_room(&same, &crowded), Ok(()));
    }
}
