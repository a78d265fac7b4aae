//! Real encoders and players against a mesh of three nodes: `make clients`, which writes the tables of docs/clients.md.
//!
//! Every encoder sends to one node, and is heard through the two others, from the beginning and late. What its listeners
//! receive is decoded by ffmpeg from a pipe, and ffmpeg must find no fault in it.

pub(crate) mod decode;
mod dying;
mod encoders;
mod hearing;
mod page;
mod players;
pub(crate) mod program;
mod samples;
mod sending;
mod stage;

use self::encoders::SourceClient;
use self::players::{PLAYERS, PlayerClient};
use self::samples::StreamKind;
use self::stage::{Stage, is_everything, is_wanted, run_all};

/// The name of an encoder's line.
fn line_of(client: &SourceClient) -> String {
    format!("{} {} {}", client.program.name, client.hello, client.kind)
}

#[test]
#[ignore = "needs programs that make clients installs"]
fn encoders_are_heard_named_and_replaced() {
    let clients = encoders::all();
    let wanted = clients.iter().filter(|it| is_wanted(&line_of(it)));
    let there: Vec<SourceClient> = wanted.filter(|it| it.program.is_there()).cloned().collect();
    let mut stage = Stage::set(false);
    let results = run_all(&there, |number, client| {
        let sent = sending::run(client, number, &stage);
        println!("{}: {sent:?}", line_of(client));
        sent
    });
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
    let (mut results, mut failed) = (Vec::new(), Vec::new());
    for kind in StreamKind::ALL {
        let of_kind = hearing::run(kind, &encoders::usual(kind), &there, &stage);
        for (player, result) in there.iter().zip(&of_kind) {
            match result {
                Some(Ok(())) => println!("{} plays {kind}", player.program.name),
                Some(Err(why)) => failed.push(format!("{} {kind}: {why}", player.program.name)),
                None => {}
            }
        }
        results.push(of_kind);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let table =
        page::players(&there, &results) + &page::missing(PLAYERS.iter().map(|it| it.program));
    page::show("players", &table, is_everything());
}
