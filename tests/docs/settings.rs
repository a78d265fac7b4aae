//! The tables of settings in the pages are made from the tables of the code: `make settings` writes them again.

use std::fs;

use antiphon::logic::records::field::{Field, FieldKind};
use antiphon::logic::records::https::HTTPS_KIND;
use antiphon::logic::records::import::IMPORT_KIND;
use antiphon::logic::records::kind::Kind;
use antiphon::logic::records::mounts::MOUNT_KIND;
use antiphon::logic::records::outside::OUTSIDE_KIND;
use antiphon::logic::records::steering::{MESH_KIND, NODE_KIND};

use super::root;

/// Set to write the tables into the pages instead of comparing them.
const WRITE: &str = "ANTIPHON_WRITE_SETTINGS";

/// A page, the mark of its table, and the table.
fn tables() -> [(&'static str, &'static str, String); 6] {
    [
        (
            "docs/operations.md",
            "settings of a mount",
            table(&MOUNT_KIND),
        ),
        (
            "docs/outside.md",
            "settings of a server",
            table(&OUTSIDE_KIND),
        ),
        (
            "docs/beside-icecast.md",
            "settings of imports",
            table(&IMPORT_KIND),
        ),
        ("docs/https.md", "settings of HTTPS", table(&HTTPS_KIND)),
        ("docs/policy.md", "settings of a node", table(&NODE_KIND)),
        ("docs/policy.md", "settings of the mesh", table(&MESH_KIND)),
    ]
}

/// A row for each setting.
fn table<S>(kind: &Kind<S>) -> String {
    let mut text =
        "| setting | does | takes | if not set |\n| --- | --- | --- | --- |\n".to_owned();
    for field in kind.fields {
        let unset = field.show(&(kind.unset)());
        let unset = match unset.filter(|text| !text.is_empty()) {
            _ if field.required && matches!(field.kind, FieldKind::Password { .. }) => {
                "generated, and shown once".to_owned()
            }
            _ if field.required => "required".to_owned(),
            Some(text) if matches!(field.kind, FieldKind::Optional { .. }) => text,
            Some(text) => format!("`{text}`"),
            None => "–".to_owned(),
        };
        let (key, help, takes) = (field.key, field.help, takes(field));
        text += &format!("| `{key}` | {help} | {takes} | {unset} |\n");
    }
    text
}

/// The values that a setting takes, with their type in JSON.
fn takes<S>(field: &Field<S>) -> String {
    match &field.kind {
        FieldKind::Text { .. } | FieldKind::Password { .. } | FieldKind::Secret { .. } => {
            "text".to_owned()
        }
        FieldKind::Choice { words, clears, .. } => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            let words = words.join(", ");
            match clears {
                true => format!("{words}, or empty (JSON: `null`)"),
                false => words,
            }
        }
        FieldKind::Number { bounds, .. } => format!("number, {} to {}", bounds[0], bounds[1]),
        FieldKind::Optional { bounds, .. } => match bounds {
            [least, u32::MAX] => format!("number from {least}, or empty (JSON: `null`)"),
            [least, most] => format!("number, {least} to {most}, or empty (JSON: `null`)"),
        },
        FieldKind::Flag { words, .. } => {
            let [yes, no] = words.words();
            match yes {
                "true" => "`true`, `false`".to_owned(),
                yes => format!("`{yes}`, `{no}` (JSON: `true`, `false`)"),
            }
        }
    }
}

/// The page with the table between its two marks.
fn with_table(page: &str, mark: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {mark}: begin, by `make settings` -->\n"),
        format!("<!-- {mark}: end -->"),
    );
    let before = page.find(&begin).map(|at| at + begin.len());
    let after = page.find(&end);
    let (Some(before), Some(after)) = (before, after) else {
        panic!("no marks {begin} and {end}");
    };
    format!("{}\n{table}\n{}", &page[..before], &page[after..])
}

#[test]
fn the_tables_of_settings_are_those_of_the_code() {
    for (name, mark, table) in tables() {
        let path = root().join(name);
        let page = fs::read_to_string(&path).unwrap();
        let wanted = with_table(&page, mark, &table);
        if std::env::var_os(WRITE).is_some() {
            fs::write(&path, wanted).unwrap();
        } else {
            assert!(
                page == wanted,
                "{name}: run `make settings`; expected:\n{table}"
            );
        }
    }
}
