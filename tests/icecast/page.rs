//! The page `docs/compatibility.md`, made from the rows and the lists that the runs have proved.

use std::env;
use std::fs;
use std::path::Path;

use crate::known::{ICECAST, KH, NOT_YET, reason};
use crate::row::Row;
use crate::rows;

/// The variable that has the page written.
const WRITE: &str = "ANTIPHON_WRITE_COMPATIBILITY";

const BEGINNING: &str = "\
# Compatibility

What encoders, players and tools expect of an Icecast server, row by row, and what antiphon and a stock icecast2 2.4.4
do. `make test` tries every row at both and fails when this page is not what it finds: a row that does not hold and is not
named here, and a row that is named here and holds. The numbers are those of a longer list: what has a number that is
not in the table is not covered, neither as held nor as missing.

`make compatibility` tries them and writes the page. To try another server, name it; rows that need settings which
cannot be made there are skipped:

```text
ANTIPHON_CONFORMANCE_TARGET=radio.example:8000 ANTIPHON_CONFORMANCE_SOURCE=source:PASSWORD make compatibility
```

`ANTIPHON_CONFORMANCE_ADMIN=admin:PASSWORD` is the login of its admin, with which the mounts of the rows are made on an antiphon;
`ANTIPHON_CONFORMANCE_RELAY=relay:PASSWORD` is that of its slaves;
`ANTIPHON_CONFORMANCE_SHOUTCAST=HOST:PORT` is its port for Shoutcast sources, whose mount has to be `/shoutcast`, and
`ANTIPHON_CONFORMANCE_ROWS=17,18` names the only rows to try.

The column of Icecast-KH, a fork that no distribution has, is what was found at its commit ea3554b (2.4.0-kh22), built without changes; `make test` does not
try it. `ANTIPHON_CONFORMANCE_KH=/path/to/icecast make compatibility` does, with that program.

| row | level | expected | antiphon | icecast2 2.4.4 | Icecast-KH |
| --- | --- | --- | --- | --- | --- |
";

/// The page as it has to be.
fn page() -> String {
    let lines = rows::all().map(line);
    BEGINNING.to_owned() + &lines.collect::<String>()
}

fn line(row: &Row) -> String {
    let Row {
        number, expected, ..
    } = row;
    let said = |list, otherwise: &str| match reason(list, *number) {
        None => "yes".to_owned(),
        Some(why) => format!("{otherwise}: {why}"),
    };
    let (ours, theirs) = (said(NOT_YET, "not yet"), said(ICECAST, "no"));
    let fork = said(KH, "no");
    format!(
        "| K{number} | {} | {expected} | {ours} | {theirs} | {fork} |\n",
        row.level.word()
    )
}

/// Writes the page if that is wanted, and fails if it is stale.
pub(crate) fn check() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let page = page();
    if env::var(WRITE).is_ok_and(|value| value == "1") {
        fs::write(&file, &page).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/compatibility.md is stale: run `make compatibility`"
    );
}
