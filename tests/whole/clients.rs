//! Real encoders and players against a mesh of three nodes: `make clients`, which writes the tables of docs/clients.md.
//!
//! Every encoder sends to one node, and is heard through the two others, from the beginning and late. What its listeners
//! receive is decoded by ffmpeg from a pipe, and ffmpeg must find no fault in it.

pub(crate) mod decode;
mod dying;
mod encoders;
mod hearing;
pub(crate) mod page;
mod players;
pub(crate) mod program;
mod samples;
mod sending;
pub(crate) mod stage;

use self::encoders::SourceClient;
use self::players::{PLAYERS, PlayerClient};
use self::samples::StreamKind;
use self::stage::{Stage, is_everything, is_wanted, run_all};

/// How many encoders are run at a time: most of them only wait. More would keep the two processors of a small machine from
/// those that work.
const ENCODERS_AT_A_TIME: usize = 5;
/// For how many formats players are run at a time: for each there are up to eleven of them.
const FORMATS_AT_A_TIME: usize = 2;

/// The name of an encoder's line.
fn line_of(client: &SourceClient) -> String {
    format!("{} {} {}", client.program.name, client.hello, client.kind)
}

/// The order in which encoders are run, by their places in the list: a program that takes long to start is run beside
/// others, and not beside itself.
fn in_turns(clients: &[SourceClient]) -> Vec<usize> {
    let turn_of = |number: &usize| {
        let before = clients[..*number].iter();
        before
            .filter(|it| it.program == clients[*number].program)
            .count()
    };
    let mut numbers: Vec<usize> = (0..clients.len()).collect();
    numbers.sort_by_key(turn_of);
    numbers
}

#[test]
#[ignore = "needs programs that make clients installs"]
fn encoders_are_heard_named_and_replaced() {
    let clients = encoders::all();
    let wanted = clients.iter().filter(|it| is_wanted(&line_of(it)));
    let there: Vec<SourceClient> = wanted.filter(|it| it.program.is_there()).cloned().collect();
    let mut stage = Stage::set(false);
    let turns = in_turns(&there);
    let results = run_all(&turns, ENCODERS_AT_A_TIME, |_, number| {
        let sent = sending::run(&there[*number], *number, &stage);
        println!("{}: {sent:?}", line_of(&there[*number]));
        sent
    });
    let mut numbered: Vec<_> = turns.into_iter().zip(results).collect();
    numbered.sort_by_key(|it| it.0);
    let results: Vec<_> = numbered.into_iter().map(|it| it.1).collect();
    let failed = there.iter().zip(&results).filter_map(|(client, result)| {
        let why = result.as_ref().err()?;
        Some(format!("{}: {why}", line_of(client)))
    });
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let deaths = dying::run(&there, &mut stage);
    let table = page::encoders(&there, &results, &deaths)
        + &page::missing(clients.iter().map(|it| it.program));
    page::show("encoders", &table, is_everything());
}

#[test]
#[ignore = "needs programs that make clients installs"]
fn players_follow_a_redirect_and_play() {
    let wanted = PLAYERS.into_iter().filter(|it| is_wanted(it.program.name));
    let there: Vec<PlayerClient> = wanted.filter(|it| it.program.is_there()).collect();
    let stage = Stage::set(true);
    let run = |_, kind: &StreamKind| {
        let fates = hearing::run(*kind, &encoders::usual(*kind), &there, &stage);
        println!("{kind}: {fates:?}");
        fates
    };
    let results = run_all(&StreamKind::ALL, FORMATS_AT_A_TIME, run);
    let (mut fates, mut failed) = (Vec::new(), Vec::new());
    for (kind, of_kind) in StreamKind::ALL.into_iter().zip(results) {
        let of_kind = of_kind.unwrap_or_else(|why| panic!("{kind}: {why}"));
        for (player, result) in there.iter().zip(&of_kind) {
            if let Some(Err(why)) = result {
                failed.push(format!("{} {kind}: {why}", player.program.name));
            }
        }
        fates.push(of_kind);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let table = page::players(&there, &fates) + &page::missing(PLAYERS.iter().map(|it| it.program));
    page::show("players", &table, is_everything());
}
