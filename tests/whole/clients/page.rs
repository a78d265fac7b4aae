//! The tables of docs/clients.md.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::encoders::{SourceClient, Titles};
use super::players::PlayerClient;
use super::program::Program;
use super::samples::{Change, StreamKind};
use super::sending::{LISTEN, Sent};

/// The result of one thing that a client was put through.
pub(super) type Outcome<T> = Result<T, String>;

/// Lines of a table that belong to one program and one way to begin.
struct Rows<'a> {
    program: Program,
    hello: &'a str,
    sent: Vec<(&'a SourceClient, &'a Outcome<Sent>)>,
}

/// The table of encoders. `deaths` says what each program did when its node died.
pub(super) fn encoders(
    clients: &[SourceClient],
    results: &[Outcome<Sent>],
    deaths: &[(Program, String)],
) -> String {
    let mut groups: Vec<Rows> = Vec::new();
    for (client, result) in clients.iter().zip(results) {
        let same = |it: &&mut Rows| it.program == client.program && it.hello == client.hello;
        match groups.iter_mut().find(same) {
            Some(group) => group.sent.push((client, result)),
            None => groups.push(Rows {
                program: client.program,
                hello: client.hello,
                sent: vec![(client, result)],
            }),
        }
    }
    let stay_s = LISTEN.as_secs();
    let mut table = format!(
        "| program | hello | decoded without a fault, early and late | sound in {stay_s} s for who comes late | titles \
         | another takes its place | its node dies and comes back |\n| --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for group in &groups {
        let death = deaths.iter().find(|it| it.0 == group.program);
        let death = death.map_or("–", |it| it.1.as_str());
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {death} |\n",
            group.program.titled(),
            group.hello,
            group.kinds(),
            group.late(),
            group.titles(),
            group.replaced(),
        );
    }
    table
}

impl Rows<'_> {
    fn kinds(&self) -> String {
        let kinds = self.sent.iter().map(|(client, sent)| match sent {
            Ok(_) => client.kind.to_string(),
            Err(_) => format!("**not {}**", client.kind),
        });
        kinds.collect::<Vec<_>>().join(", ")
    }

    fn titles(&self) -> String {
        let mut ways: Vec<&str> = Vec::new();
        for (client, _) in &self.sent {
            let way = match client.titles {
                Titles::ByEncoder(_) => "its own",
                Titles::InStream => "in the stream",
                Titles::ByTest => "by `/admin/metadata`",
            };
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways.join(", ")
    }

    fn late(&self) -> String {
        let times = self.sent.iter().filter_map(|(_, sent)| sent.as_ref().ok());
        let shortest = times.map(|it| it.late).min();
        shortest.map_or("–".to_owned(), seconds)
    }

    fn replaced(&self) -> String {
        let times = self.sent.iter().filter_map(|(_, sent)| sent.as_ref().ok());
        let Some(longest) = times.map(|it| it.replaced).max() else {
            return "–".to_owned();
        };
        let kinds = self.sent.iter().map(|(client, _)| client.kind);
        let ended = kinds.filter(|it| it.change() == Change::Ends);
        let ended: Vec<String> = ended.map(|it| it.to_string()).collect();
        let ended = match ended.is_empty() {
            true => String::new(),
            false => format!("; listeners of {} ask again", ended.join(", ")),
        };
        format!("after {}{ended}", seconds(longest))
    }
}

/// The table of players.
pub(super) fn players(players: &[PlayerClient], results: &[Vec<Option<Outcome<()>>>]) -> String {
    let mut table =
        "| program | follows the redirect and plays | when the stream ends |\n| --- | --- | --- |\n".to_owned();
    for (index, player) in players.iter().enumerate() {
        let of_kinds = StreamKind::ALL.iter().zip(results);
        let kinds = of_kinds.filter_map(|(kind, results)| {
            let result = results[index].as_ref()?;
            Some(match result {
                Ok(()) => kind.to_string(),
                Err(_) => format!("**not {kind}**"),
            })
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let end = match player.ends {
            true => "exits with 0",
            false => "keeps running",
        };
        table += &format!("| {} | {kinds} | {end} |\n", player.program.titled());
    }
    table
}

/// A line that names what could not be run.
pub(super) fn missing(programs: impl Iterator<Item = Program>) -> String {
    let mut missing: Vec<&str> = programs
        .filter(|it| !it.is_there())
        .map(|it| it.name)
        .collect();
    missing.dedup();
    match missing.is_empty() {
        true => String::new(),
        false => format!(
            "\nNot installed where this was measured: {}.\n",
            missing.join(", ")
        ),
    }
}

/// A time as a table shows it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Shows a table, and puts it into the page, between its marks, where a run of everything is asked to.
pub(crate) fn show(name: &str, table: &str, is_everything: bool) {
    println!("\n{table}");
    if env::var("ANTIPHON_WRITE_CLIENTS").is_err() || !is_everything {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (begin, end) = (
        format!("<!-- {name}: made by make clients -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let (before, rest) = text.split_once(&begin).expect("a place for the table");
    let (_, after) = rest.split_once(&end).expect("its end");
    let text = format!("{before}{begin}\n{table}\n{end}{after}");
    fs::write(&path, text).expect("the documentation can be written");
}
