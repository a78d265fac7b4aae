//! `antiphon cert`: certificates for HTTPS, got by the mesh itself or given to it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{Api, NodeArgs};
use super::fields;
use super::terminal::{self, Side, TextTable, printable};
use crate::io::clock;
use crate::logic::records::https::HTTPS_KIND;
use crate::model::https::{CertificateNames, ContactAddress, HttpsSettings};
use crate::model::status::certificates::{CertificateStatus, CertificatesStatus, span};
use crate::settings::Machine;

const CERTIFICATES: &str = "/api/v1/certificates";
const RENEW: &str = "/api/v1/certificates/renew";
/// The longest file that is read: longer than any chain that is kept.
const MAX_FILE_BYTES: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct CertArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Debug, Subcommand)]
enum CertCommand {
    /// Get certificates for all names of the mesh, and renew them
    Enable(EnableArgs),
    /// Get no certificates any more; those that there are stay
    Disable,
    /// Show each certificate that there is or should be, and what is wrong
    List {
        /// Print the node's own JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Order a new certificate now: for one name, or for all
    Renew {
        /// Name that the certificate is for, such as radio.example
        name: Option<String>,
    },
    /// Give the mesh a certificate from elsewhere, which is used from then on; its key is encrypted on every disk
    Import {
        /// File with the certificate and those above it (PEM)
        chain: PathBuf,
        /// File with its key (PEM)
        key: PathBuf,
    },
    /// Take a certificate out of the mesh
    Delete {
        /// Name or address that it is used for, such as radio.example, or its serial number
        #[arg(value_name = "NAME|SERIAL")]
        which: String,
    },
}

#[derive(Debug, Args)]
struct EnableArgs {
    /// Mail address to which the authority writes when something is wrong
    #[arg(long, value_name = "MAIL")]
    contact: Option<ContactAddress>,
    /// Address of the authority's directory; Let's Encrypt's until another one was named, and without the flag nothing changes
    #[arg(long, value_name = "URL")]
    directory: Option<String>,
    /// File with the certificates (PEM) by which a private authority is trusted; "" for those that the machines trust
    #[arg(long, value_name = "FILE")]
    directory_ca: Option<String>,
    /// Names besides those that the nodes and the zone have, with commas
    #[arg(long, value_name = "NAMES")]
    names: Option<CertificateNames>,
}

/// The answer to `enable`.
#[derive(Deserialize)]
struct Set {
    #[serde(flatten)]
    settings: HttpsSettings,
    #[serde(default)]
    warnings: Vec<String>,
}

/// The answer to `list`.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    settings: HttpsSettings,
    status: CertificatesStatus,
}

/// The answer to `renew`.
#[derive(Deserialize)]
struct Renewed {
    ordered: Vec<String>,
    #[serde(default)]
    left_out: Vec<LeftOut>,
}

/// A name that is not ordered, and why.
#[derive(Deserialize)]
struct LeftOut {
    why: String,
}

/// The answer to `import`.
#[derive(Deserialize)]
struct Imported {
    names: Vec<String>,
    /// 0 from a node of an older version.
    #[serde(default)]
    begins_unix_s: u64,
    until_unix_s: u64,
}

/// The answer to `delete`.
#[derive(Deserialize)]
struct Deleted {
    names: Vec<String>,
    serial: String,
    bare: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

/// Runs one command on certificates.
pub(super) async fn cert(args: CertArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        CertCommand::Enable(args) => {
            let set = set(&api, enabled(args)?).await?;
            let warnings = warned(&set.warnings);
            let settings = settings_of(&set.settings);
            format!("{settings}\n{warnings}see how it goes: antiphon cert list\n")
        }
        CertCommand::Disable => {
            let set = set(&api, Map::from_iter([("https".to_owned(), false.into())])).await?;
            let warnings = warned(&set.warnings);
            format!("no certificates are got any more; those that there are stay\n{warnings}")
        }
        CertCommand::List { json: true } => api.ask_for_json(CERTIFICATES).await?,
        CertCommand::List { json: false } => {
            let shown: Shown = api.ask_for(Method::GET, CERTIFICATES, None).await?;
            list(&shown)
        }
        CertCommand::Renew { name } => {
            let body = json!({ "name": name });
            let renewed: Renewed = api.ask_for(Method::POST, RENEW, Some(&body)).await?;
            told_of(&renewed)
        }
        CertCommand::Import { chain, key } => {
            let body = json!({ "chain": read(&chain)?, "key": read(&key)? });
            let imported: Imported = api.ask_for(Method::POST, CERTIFICATES, Some(&body)).await?;
            import_told(&imported, clock::unix_s())
        }
        CertCommand::Delete { which } => {
            let which = utf8_percent_encode(&which, NON_ALPHANUMERIC);
            let path = format!("{CERTIFICATES}/{which}");
            let deleted: Deleted = api.ask_for(Method::DELETE, &path, None).await?;
            deletion_told(&deleted)
        }
    };
    Ok(terminal::print(&text)?)
}

fn warned(warnings: &[String]) -> String {
    let lines = warnings.iter();
    let lines = lines.map(|it| format!("warning: {}\n", printable(it)));
    lines.collect()
}

fn import_told(imported: &Imported, now_unix_s: u64) -> String {
    let left = span(imported.until_unix_s.saturating_sub(now_unix_s));
    let names = imported.names.join(", ");
    let warning = match imported.begins_unix_s.saturating_sub(now_unix_s) {
        0 => String::new(),
        wait_s => format!(
            "warning: it is not valid yet and begins in {}; until then others are used, and with HTTPS on the mesh orders one \
             where there is none\n",
            span(wait_s)
        ),
    };
    format!(
        "imported a certificate for {}, valid for {left}\n{warning}",
        printable(&names)
    )
}

fn deletion_told(deleted: &Deleted) -> String {
    let (names, serial) = (deleted.names.join(", "), &deleted.serial);
    let told = format!("deleted the certificate {serial} for {names}");
    let rest = match deleted.bare.is_empty() {
        true => "others are used in its place: antiphon cert list".to_owned(),
        false => format!("no other one is for {}", deleted.bare.join(", ")),
    };
    let warnings = warned(&deleted.warnings);
    format!("{}; {}\n{warnings}", printable(&told), printable(&rest))
}

fn told_of(renewed: &Renewed) -> String {
    let mut told = match renewed.ordered.is_empty() {
        true => "nothing is ordered now; see antiphon cert list\n".to_owned(),
        false => format!("to be ordered now: {}\n", renewed.ordered.join(", ")),
    };
    for left_out in &renewed.left_out {
        told += &format!("left out: {}\n", printable(&left_out.why));
    }
    told
}

async fn set(api: &Api, changes: Map<String, Value>) -> anyhow::Result<Set> {
    let body = Value::Object(changes);
    api.ask_for(Method::PATCH, CERTIFICATES, Some(&body)).await
}

/// The settings that turn HTTPS on.
fn enabled(args: EnableArgs) -> anyhow::Result<Map<String, Value>> {
    let mut changes = Map::from_iter([("https".to_owned(), Value::from(true))]);
    let texts = [
        ("https_contact", args.contact.map(String::from)),
        ("https_directory", args.directory),
        (
            "https_directory_ca",
            args.directory_ca.as_deref().map(authorities).transpose()?,
        ),
        ("https_names", args.names.map(String::from)),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            fields::setting(HTTPS_KIND.field(key)?, &text)?;
            changes.insert(key.to_owned(), text.into());
        }
    }
    Ok(changes)
}

/// The certificates in a file, or nothing, which clears them.
fn authorities(path: &str) -> anyhow::Result<String> {
    match path {
        "" => Ok(String::new()),
        path => read(Path::new(path)),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let length = fs::metadata(path).map(|it| it.len());
    let length = length.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        length <= MAX_FILE_BYTES,
        "{} has {length} bytes, at most {MAX_FILE_BYTES}: is it another file?",
        path.display()
    );
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn settings_of(settings: &HttpsSettings) -> String {
    let mut settings = settings.clone();
    if !settings.directory_ca.is_empty() {
        settings.directory_ca = "set".to_owned();
    }
    fields::lines(fields::shown(&HTTPS_KIND, &settings, |_| None))
}

fn list(shown: &Shown) -> String {
    let settings = &shown.settings;
    let from = match (settings.is_on, &shown.status.node) {
        (false, _) => {
            "certificates are not got from an authority; see antiphon cert enable --help".to_owned()
        }
        (true, None) => format!(
            "no node gets certificates from {} at the moment",
            settings.directory
        ),
        (true, Some(node)) => format!("{node} gets certificates from {}", settings.directory),
    };
    let table = rows(&shown.status.certificates, clock::unix_s());
    let keys = match shown.status.keys_to_seal {
        0 => String::new(),
        keys => format!(
            "{keys} keys are still sealed under an older key of the secret: leave it in the file until none is\n"
        ),
    };
    format!("{}\n{keys}{table}", printable(&from))
}

/// A row for each certificate, and a line for each fault.
pub(super) fn rows(certificates: &[CertificateStatus], now_unix_s: u64) -> String {
    if certificates.is_empty() {
        return String::new();
    }
    let mut table = TextTable::new(&[
        ("NAMES", Side::Left),
        ("STATE", Side::Left),
        ("LEFT", Side::Right),
        ("NEXT ORDER", Side::Right),
        ("FROM", Side::Left),
        ("ISSUER", Side::Left),
    ]);
    for it in certificates {
        let left = it
            .until_unix_s
            .map(|at| span(at.saturating_sub(now_unix_s)));
        let next = it
            .next_unix_s
            .map(|at| match at.saturating_sub(now_unix_s) {
                0 => "now".to_owned(),
                wait => format!("in {}", span(wait)),
            });
        let next = if it.is_ordering {
            Some("under way".to_owned())
        } else {
            next
        };
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.row([
            printable(&it.names.join(",")).to_string(),
            it.state.word().to_owned(),
            dash(left),
            dash(next),
            dash(it.source.clone()),
            printable(&dash(it.issuer.clone())).to_string(),
        ]);
    }
    let faults = certificates.iter().filter_map(|it| {
        let (name, fault) = (it.names.first()?, it.fault.as_ref()?);
        Some(format!("{}: {}\n", printable(name), printable(fault)))
    });
    let faults: String = faults.collect();
    match faults.is_empty() {
        true => table.render(),
        false => format!("{}\n{faults}", table.render()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::certificates::CertificateState;

    #[test]
    fn an_import_before_its_time_is_warned_of() {
        let told = |begins_unix_s| {
            let imported = Imported {
                names: vec!["a.example".to_owned()],
                begins_unix_s,
                until_unix_s: 190,
            };
            import_told(&imported, 100)
        };
        assert_eq!(
            told(100),
            "imported a certificate for a.example, valid for 90 s\n"
        );
        assert!(told(160).contains("\nwarning: it is not valid yet and begins in 60 s;"));
    }

    #[test]
    fn a_row_says_what_is_there_and_what_is_wrong() {
        let missing = CertificateStatus {
            names: vec!["a.example".to_owned()],
            state: CertificateState::Missing,
            next_unix_s: Some(160),
            fault: Some("nobody answers\u{1b}[31m".to_owned()),
            ..CertificateStatus::default()
        };
        let valid = CertificateStatus {
            names: vec!["b.example".to_owned(), "*.b.example".to_owned()],
            until_unix_s: Some(100 + 50 * 86_400),
            source: Some("imported".to_owned()),
            issuer: Some("CN=CA".to_owned()),
            ..CertificateStatus::default()
        };
        let shown = rows(&[missing, valid], 100);
        let lines: Vec<&str> = shown.lines().collect();
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(lines[1]),
            ["a.example", "missing", "-", "in", "60", "s", "-", "-"]
        );
        let expected = [
            "b.example,*.b.example",
            "valid",
            "50",
            "days",
            "-",
            "imported",
            "CN=CA",
        ];
        assert_eq!(words(lines[2]), expected);
        assert!(lines[4].starts_with("a.example: nobody answers") && !shown.contains('\u{1b}'));
    }
}
