//! Breaches that are planted, to see each rule catch its own, and honest code, to see it left alone.

use std::collections::BTreeMap;

use super::circles::circles;
use super::{MOST_LINES, breaches};

#[test]
fn a_planted_circle_is_caught() {
    let one_way = [
        ("src/logic/mod.rs", "pub mod a; pub mod b; pub mod c;"),
        ("src/logic/a.rs", "use super::b; pub struct A;"),
        ("src/logic/b.rs", "pub struct B; mod x {}"),
        (
            "src/logic/c/mod.rs",
            "mod d; pub use self::d::D; fn f() { d::f() }",
        ),
        ("src/logic/c/d.rs", "use super::C; pub struct D;"),
        ("simulations/src/a.rs", "use antiphon::logic::c::D;"),
    ];
    let backs = [
        (
            "src/logic/e.rs",
            "fn f() -> super::c::D {}",
            "src/logic/c/d.rs",
            "use crate::logic::{e as f};",
        ),
        (
            "src/logic/e.rs",
            "use super::a::A;",
            "src/logic/b.rs",
            "use crate::{logic::{e::{self, E}, c}};",
        ),
        (
            "src/logic/e.rs",
            "use super::c::D;",
            "src/logic/c/mod.rs",
            "use super::e; pub use self::d::D;",
        ),
        (
            "simulations/src/b.rs",
            "use crate::a::A;",
            "simulations/src/a.rs",
            "fn f() { super::b::g() }",
        ),
    ];
    let house = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
        let all = one_way.iter().chain(more);
        let planted = all.map(|(path, code)| ((*path).to_owned(), (*code).to_owned()));
        planted.collect()
    };
    assert!(circles(&house(&[])).is_empty());
    for (new, code, old, back) in backs {
        assert!(circles(&house(&[(new, code)])).is_empty(), "{new}: {code}");
        let found = circles(&house(&[(new, code), (old, back)]));
        assert_eq!(found.len(), 1, "{new}: {code}, {old}: {back}: {found:?}");
        let circle = found.first().expect("one was found");
        assert!(circle.iter().any(|file| file == new) && circle.iter().any(|file| file == old));
    }
}

/// The breaches of a file that is well shaped but for its code.
fn breaches_of_code(path: &str, code: &str) -> Vec<String> {
    breaches(path, &format!("//! A planted breach.\n{code}\n"))
}

#[test]
fn each_planted_breach_is_caught() {
    let planted = [
        (
            "src/model/a.rs",
            "use crate::settings::Settings;",
            "settings",
        ),
        (
            "src/logic/a.rs",
            "use crate::{model::node, io::clock};",
            "io",
        ),
        ("src/logic/a.rs", "use crate::wire::frame;", "wire"),
        ("src/logic/a.rs", "use super::super::media::ring;", "media"),
        ("src/media/mod.rs", "use super::service;", "service"),
        ("src/logic/a.rs", "use crate::proto::view;", "proto"),
        ("src/proto/a.rs", "use crate::io::feed::Feed;", "io"),
        ("src/proto/a.rs", "use tokio::time::Instant;", "tokio"),
        (
            "src/proto/a.rs",
            "fn f() { Instant::now() }",
            "Instant::now",
        ),
        (
            "src/proto/a.rs",
            "use std::collections::HashSet;",
            "HashSet",
        ),
        (
            "src/logic/a.rs",
            "use crate::settings::Settings;",
            "settings",
        ),
        (
            "src/io/a.rs",
            "fn f() { crate::service::load::f() }",
            "service",
        ),
        (
            "src/service/a/b.rs",
            "use super::super::super::node;",
            "node",
        ),
        ("src/node/a.rs", "use crate::cli;", "cli"),
        ("src/main.rs", "fn main() { antiphon::node::run() }", "node"),
        (
            "src/logic/a.rs",
            "#[cfg(test)] mod tests { use crate::io; }",
            "io",
        ),
        ("src/wire/a.rs", "use tokio::sync::mpsc;", "tokio"),
        (
            "src/logic/a.rs",
            "fn f() { rand::rng().random() }",
            "rand::rng",
        ),
        ("src/logic/a.rs", "use rand::{Rng, rng};", "rand::rng"),
        (
            "src/media/a.rs",
            "use std::net::{IpAddr, UdpSocket};",
            "UdpSocket",
        ),
        (
            "src/wire/a.rs",
            "fn f() { SystemTime::now(); }",
            "SystemTime::now",
        ),
        (
            "src/logic/a.rs",
            "fn f() { std::time::Instant::now(); }",
            "Instant::now",
        ),
        ("src/media/a.rs", "use std::{fmt, fs};", "std::fs"),
        (
            "src/logic/a.rs",
            "use std::collections::HashMap;",
            "HashMap",
        ),
        (
            "src/io/link/a.rs",
            "fn f() -> anyhow::Result<()> {}",
            "anyhow",
        ),
        ("src/io/disk/a.rs", "use bincode::config;", "bincode"),
        ("src/service/a.rs", "use chitchat::NodeId;", "chitchat"),
        (
            "src/io/a.rs",
            "fn f() { tokio::spawn(g()); }",
            "tokio::spawn",
        ),
        ("src/io/a.rs", "use tokio::{net, spawn};", "tokio::spawn"),
        (
            "src/node/a.rs",
            "fn f() { task::spawn(g()); }",
            "task::spawn",
        ),
        (
            "src/service/front.rs",
            "fn f() { stream.write_all(b); }",
            "write_all",
        ),
        ("src/io/utils.rs", "", "utils"),
        ("tests/common/mod.rs", "", "common"),
        ("src/io.rs", "", "src/io/mod.rs"),
    ];
    for (path, code, word) in planted {
        let found = breaches_of_code(path, code);
        assert_eq!(found.len(), 1, "{path}: {code}: {found:?}");
        assert!(found[0].contains(&format!("`{word}`")), "{found:?}");
    }
}

#[test]
fn a_file_without_a_purpose_or_an_end_is_caught() {
    for text in [
        "",
        "use std::fmt;\n",
        "\n//! Too late.\n",
        "/// Not the file.\n",
    ] {
        assert_eq!(breaches("tests/a.rs", text).len(), 1, "{text:?}");
    }
    let long = format!("//! Long.\n{}", "\n".repeat(MOST_LINES));
    assert_eq!(breaches("simulations/src/a.rs", &long).len(), 1);
    assert!(breaches("src/io/a.rs", &long[..long.len() - 1]).is_empty());
}

#[test]
fn honest_code_is_left_alone() {
    let honest = [
        (
            "src/logic/a.rs",
            "use crate::{logic::b, model::seat::{Claim, Seat}};",
        ),
        (
            "src/logic/a/b.rs",
            "use super::super::media; // logic's own `media`",
        ),
        (
            "src/cli/a.rs",
            "use crate::{node, settings}; use anyhow::Context;",
        ),
        ("src/main.rs", "fn main() { antiphon::cli::main() }"),
        ("src/wire/frame/limit.rs", "use bincode::config;"),
        (
            "src/io/gossip.rs",
            "use chitchat::transport; use anyhow::Error;",
        ),
        ("src/logic/a.rs", "// tokio::spawn is for others\nfn f() {}"),
        ("src/logic/a.rs", "/* crate::io */ fn f() -> char { '\"' }"),
        (
            "src/wire/a.rs",
            "const A: &str = r#\"tokio::x \"TcpStream\" \"#;",
        ),
        (
            "src/wire/a.rs",
            "fn f<'a>(a: &'a str) -> &'a str { \"\\\"std::fs\" }",
        ),
        (
            "src/logic/a.rs",
            "use rand::rngs::SmallRng; use std::time::Instant;",
        ),
        (
            "src/logic/a.rs",
            "#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }",
        ),
        (
            "src/io/a.rs",
            "fn f() { tracker.spawn(g()); task::spawn_blocking(h); }",
        ),
        (
            "src/io/a.rs",
            "use std::collections::HashMap; use tokio::net;",
        ),
    ];
    for (path, code) in honest {
        let found = breaches_of_code(path, code);
        assert!(found.is_empty(), "{code}: {found:?}");
    }
}

#[test]
fn code_below_a_test_module_is_read_again() {
    let code = "#[cfg(test)] mod tests { fn f() { tokio::x() } } use tokio::net;";
    assert_eq!(breaches_of_code("src/logic/a.rs", code).len(), 1);
}
