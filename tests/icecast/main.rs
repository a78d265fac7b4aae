//! The expectations that programs have of an Icecast server, asked over raw sockets: of antiphon, of a stock icecast2, and
//! of any server that is named.
//!
//! The rows are those of docs/compatibility.md. A stock icecast2 does some of them otherwise; that the list of these is
//! exact shows that the rows ask for what Icecast does, and not only for what antiphon does.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

mod api;
mod encoder;
mod icecast;
mod known;
mod media;
mod node;
mod page;
mod player;
mod remote;
mod row;
mod rows;
mod server;
mod socket;
mod target;
mod trial;
mod upstreams;

use std::collections::BTreeSet;
use std::env;

use row::Prepared;
use server::Server;
use trial::Stand;
use upstreams::Upstreams;

/// Starts a server, prepared like this, which relays from these.
type Start = fn(Prepared, Option<&Upstreams>) -> Server;

/// Whether icecast2 can be run. If not, the test fails, saying what to install; with `ANTIPHON_SKIP_MISSING=1` it is
/// told to end instead.
fn have_icecast2() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join("icecast2").is_file()) {
        return true;
    }
    let skip = env::var("ANTIPHON_SKIP_MISSING").is_ok_and(|value| value == "1");
    assert!(
        skip,
        "icecast2 is not installed: run tests/install-tools.sh, or set ANTIPHON_SKIP_MISSING=1"
    );
    println!("skipped, because icecast2 is not installed");
    false
}

/// Tries all rows at a server that is started like this.
fn prove(start: Start, list: &[(u8, &'static str)], has_stock: bool) {
    let upstreams = Upstreams::start(has_stock);
    let server = start(Prepared::Nothing, Some(&upstreams));
    let stand = Stand {
        server: &server,
        start: Some(start),
        upstreams: Some(&upstreams),
    };
    stand.prove(list);
}

#[test]
fn antiphon_holds_every_row() {
    prove(node::start, known::NOT_YET, have_icecast2());
}

#[test]
fn icecast_deviates_where_it_is_known_to() {
    if !have_icecast2() {
        return;
    }
    prove(icecast::start, known::ICECAST, true);
}

#[test]
fn icecast_kh_deviates_where_it_is_known_to() {
    match icecast::have_kh() {
        true => prove(icecast::start_kh, known::KH, have_icecast2()),
        false => println!("skipped, because ANTIPHON_CONFORMANCE_KH names no program"),
    }
}

#[test]
fn the_named_server_holds_every_row() {
    let Some(server) = remote::named() else {
        return;
    };
    let stand = Stand {
        server: &server,
        start: None,
        upstreams: None,
    };
    stand.prove(&[]);
}

#[test]
fn the_page_is_what_the_rows_and_the_lists_say() {
    page::check();
}

#[test]
fn each_number_is_one_row_and_each_list_names_rows() {
    let numbers: Vec<u8> = rows::all().map(|row| row.number).collect();
    let distinct: BTreeSet<u8> = numbers.iter().copied().collect();
    assert_eq!(numbers.len(), distinct.len(), "{numbers:?}");
    for known in known::ICECAST.iter().chain(known::KH).chain(known::NOT_YET) {
        assert!(distinct.contains(&known.0), "there is no row {}", known.0);
    }
}
