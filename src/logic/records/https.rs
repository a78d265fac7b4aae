//! The settings of HTTPS, as the one record of their kind in the document.

use super::field::{Field, FieldKind, FlagWords};
use super::kind::{BadRecord, Changes, Kind};
use super::mistake::Mistake;
use crate::logic::document::Document;
use crate::model::https::{CertificateNames, ContactAddress, HttpsSettings};
use crate::model::record::MAX_VALUE_BYTES;
use crate::model::record::key::RecordKey;

/// The longest address of a directory: those in use have 40 to 80 letters.
const MAX_DIRECTORY_BYTES: usize = 1_024;

/// The settings of HTTPS.
pub static HTTPS_KIND: Kind<HttpsSettings> = Kind {
    noun: "HTTPS",
    prefix: "https",
    fields: FIELDS,
    unset: HttpsSettings::default,
};

/// In the order in which they are shown.
const FIELDS: &[Field<HttpsSettings>] = &[
    Field {
        key: "https",
        help: "whether the mesh gets certificates from an authority, and renews them",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::OnOff,
            put: |https, flag| https.is_on = flag,
            get: |https| https.is_on,
        },
    },
    Field {
        key: "https_contact",
        help: "mail address to which the authority writes when something is wrong, such as `mail@radio.example`; empty: none",
        required: false,
        kind: FieldKind::Text {
            word: "MAIL",
            clears: true,
            read: |text| Ok(String::from(contact(text)?)),
            put: |https, text| {
                https.contact = Some(contact(text)?);
                Ok(())
            },
            show: |https| https.contact.clone().map(String::from).unwrap_or_default(),
        },
    },
    Field {
        key: "https_directory",
        help: "address of the authority's directory (ACME, RFC 8555)",
        required: false,
        kind: FieldKind::Text {
            word: "URL",
            clears: true,
            read: |text| directory(text).map(str::to_owned),
            put: |https, text| {
                https.directory = directory(text)?.to_owned();
                Ok(())
            },
            show: |https| https.directory.clone(),
        },
    },
    Field {
        key: "https_directory_ca",
        help: "certificates (PEM) by which the authority's own server is trusted, if it is a private one; empty: those that \
               the machines trust",
        required: false,
        kind: FieldKind::Text {
            word: "PEM",
            clears: true,
            read: |text| directory_ca(text).map(str::to_owned),
            put: |https, text| {
                https.directory_ca = directory_ca(text)?.to_owned();
                Ok(())
            },
            show: |https| https.directory_ca.clone(),
        },
    },
    Field {
        key: "https_names",
        help: "names for certificates, with commas, besides the hosts in the nodes' URLs and the mesh's own zone: \
               `radio.example,*.live.example`; at most 32. A wildcard needs a zone that the mesh serves",
        required: false,
        kind: FieldKind::Text {
            word: "NAMES",
            clears: true,
            read: |text| Ok(names(text)?.to_string()),
            put: |https, text| {
                https.names = names(text)?;
                Ok(())
            },
            show: |https| https.names.to_string(),
        },
    },
];

fn contact(text: &str) -> Result<ContactAddress, Mistake> {
    Ok(text.parse()?)
}

fn names(text: &str) -> Result<CertificateNames, Mistake> {
    Ok(text.parse()?)
}

fn directory(text: &str) -> Result<&str, Mistake> {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !host.contains('@');
    match !host.is_empty() && is_plain && text.len() <= MAX_DIRECTORY_BYTES {
        true => Ok(text),
        false => Err(Mistake::new(
            "must be the address of a directory, such as `https://acme-v02.api.letsencrypt.org/directory`",
        )),
    }
}

fn directory_ca(text: &str) -> Result<&str, Mistake> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(Mistake::new(format!(
            "must have at most {MAX_VALUE_BYTES} bytes: one certificate, that of the root, is enough"
        )));
    }
    let is_secret = text.contains("PRIVATE KEY-----");
    match text.contains("-----BEGIN CERTIFICATE-----") && !is_secret {
        true => Ok(text),
        false => Err(Mistake::new(
            "must be certificates as PEM, beginning with `-----BEGIN CERTIFICATE-----`, and no private key",
        )),
    }
}

/// The key of the record.
pub fn key() -> RecordKey {
    HTTPS_KIND.key("")
}

/// The settings in a document, and why the first one that cannot be read is not used.
pub fn settings(document: &Document) -> (HttpsSettings, Option<BadRecord>) {
    let mut settings = HttpsSettings::default();
    let record = document.get(&key());
    let loaded = record.map_or(Ok(()), |record| HTTPS_KIND.load(&mut settings, record));
    (settings, loaded.err())
}

/// The change that turns HTTPS on with this contact.
pub fn founding(contact: &ContactAddress) -> Changes<HttpsSettings> {
    let changes = HTTPS_KIND.changes([("https", "on"), ("https_contact", contact.as_str())]);
    changes.expect("a checked address fits its field")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;

    #[test]
    fn settings_survive_their_record() {
        let mut document = Document::new(NodeName::try_from("a").unwrap());
        assert_eq!(settings(&document), (HttpsSettings::default(), None));
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let set = [
            ("https", "on"),
            ("https_contact", "mailto:mail@radio.example"),
            ("https_directory", "https://localhost:14000/dir"),
            ("https_directory_ca", pem),
            ("https_names", "Radio.example, *.radio.example"),
        ];
        let changes = HTTPS_KIND.changes(set).unwrap();
        document.edit(&key(), changes.into_fields(), 1).unwrap();
        let (read, bad) = settings(&document);
        assert_eq!(bad, None);
        assert!(read.is_on && read.directory_ca == pem);
        assert_eq!(
            read.contact.as_ref().unwrap().as_str(),
            "mail@radio.example"
        );
        assert_eq!(read.names.to_string(), "radio.example,*.radio.example");
        assert_eq!(read.directory, "https://localhost:14000/dir");
    }

    #[test]
    fn a_settings_file_with_a_setting_of_the_mesh_is_told_the_command_for_it() {
        for field in FIELDS.iter().filter(|field| field.key != "https") {
            let command = crate::model::https::command_of(field.key);
            assert!(command.is_some(), "{}", field.key);
        }
    }

    #[test]
    fn a_bad_value_is_refused_with_its_fields_name() {
        for (field, value) in [
            ("https", "maybe"),
            ("https_contact", "nobody"),
            ("https_directory", "http://plain.example/directory"),
            ("https_directory", "https://u:p@host/directory"),
            ("https_directory", "https://"),
            ("https_directory_ca", "-----BEGIN PRIVATE KEY-----"),
            ("https_names", "192.0.2.7"),
        ] {
            let error = HTTPS_KIND
                .changes([(field, value)])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
    }
}
