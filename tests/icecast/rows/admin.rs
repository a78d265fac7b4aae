//! The addresses at which tools look at streams and listeners, and end and move them.

use std::time::Duration;

use roxmltree::{Document, Node};

use crate::encoder::{Encoder, eventually};
use crate::media::frames::mp3;
use crate::player::Player;
use crate::row::{Fault, Level, Needs, Outcome, Row, deviates, want};
use crate::socket::Reply;
use crate::target::Target;

/// The bytes by which a listener has heard what it hears.
const HEARD_BYTES: usize = 4_000;
/// How long a server may take to close a connection that an operator has ended.
const CLOSES: Duration = Duration::from_secs(5);

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        number: 69,
        level: Level::Must,
        expected: "`/admin/stats`, `/admin/listmounts` and `/admin/listclients` with the admin's login: Icecast's elements; without that login 401",
        needs: Needs::NOTHING,
        check: lists_have_the_names_that_tools_read,
    },
    Row {
        number: 71,
        level: Level::Must,
        expected: "`killclient`, `moveclients`, `fallbacks` and `killsource` of `/admin/` do it, and say so in Icecast's words",
        needs: Needs::SECOND,
        check: operators_end_and_move,
    },
    Row {
        number: 73,
        level: Level::Should,
        expected: "`STATS / HTTP/1.0` with the admin's login: a line for each figure, and then for each that changes; `/status.xsl` names \
                   the mount and its title; a command that is none: 400 `Unrecognised command`",
        needs: Needs::NOTHING,
        check: statistics_are_told_as_they_change,
    },
];

/// The answer to an admin's request.
fn admin(target: &Target<'_>, asked: &str) -> Result<Reply, Fault> {
    target.get(asked, &target.admin()?)
}

/// Reads an answer.
fn parsed(text: &str) -> Result<Document<'_>, Fault> {
    Document::parse(text).map_err(|error| deviates(format!("{error} in {text}")))
}

fn held<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, Fault> {
    let found = node.descendants().find(|it| it.has_tag_name(name));
    let found = found.ok_or_else(|| deviates(format!("there is no <{name}>")))?;
    Ok(found.text().unwrap_or_default())
}

/// The part of an answer that is about a mount.
fn about<'a, 'd>(document: &'a Document<'d>, mount: &str) -> Result<Node<'a, 'd>, Fault> {
    let mut sources = document.descendants();
    let found =
        sources.find(|it| it.has_tag_name("source") && it.attribute("mount") == Some(mount));
    found.ok_or_else(|| deviates(format!("there is no <source mount=\"{mount}\">")))
}

fn lists_have_the_names_that_tools_read(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mount = target.mount();
    let mut player = Player::tune_in(target, &mount, "User-Agent: k69 <&> player\r\n")?;
    player.audio(HEARD_BYTES)?;
    let clients = format!("/admin/listclients?mount={mount}");
    for asked in ["/admin/stats", "/admin/listmounts", &clients] {
        target.get(asked, "")?.head.want(401)?;
        let reply = admin(target, asked)?;
        reply.head.want(200)?;
        let kind = reply.head.header("content-type").unwrap_or_default();
        want(kind.starts_with("text/xml"), || format!("{asked}: {kind}"))?;
        let text = reply.text();
        let document = parsed(&text)?;
        want(document.root_element().has_tag_name("icestats"), || {
            text.clone()
        })?;
    }
    eventually(|| {
        let text = admin(target, "/admin/stats")?.text();
        let stats = parsed(&text)?;
        for name in ["admin", "host", "location", "server_id", "server_start"] {
            held(stats.root_element(), name)?;
        }
        for name in ["clients", "listeners", "sources"] {
            let figure = held(stats.root_element(), name)?;
            want(figure.parse::<u32>().is_ok_and(|it| it > 0), || {
                format!("{name}: {figure}")
            })?;
        }
        let source = about(&stats, &mount)?;
        want(held(source, "server_type")? == "audio/mpeg", || {
            text.clone()
        })?;
        want(held(source, "listeners")? == "1", || text.clone())?;
        held(source, "listenurl").map(drop)
    })?;
    let text = admin(target, "/admin/listmounts")?.text();
    let mounts = parsed(&text)?;
    let source = about(&mounts, &mount)?;
    for name in ["fallback", "listeners", "Connected", "content-type"] {
        held(source, name)?;
    }
    let text = admin(target, &clients)?.text();
    let listeners = parsed(&text)?;
    let source = about(&listeners, &mount)?;
    want(held(source, "Listeners")? == "1", || text.clone())?;
    want(held(source, "IP")? == "127.0.0.1", || text.clone())?;
    want(held(source, "UserAgent")? == "k69 <&> player", || {
        text.clone()
    })?;
    held(source, "Connected")?;
    held(source, "ID").map(drop)
}

/// Checks what an answer says, and whether that was done.
fn says(reply: &Reply, words: &str, done: bool) -> Outcome {
    let text = reply.text();
    let document = parsed(&text)?;
    let root = document.root_element();
    let code = if done { "1" } else { "0" };
    want(
        held(root, "message")? == words && held(root, "return")? == code,
        || format!("{text} and not {words:?}, {code}"),
    )
}

fn operators_end_and_move(target: &Target<'_>) -> Outcome {
    let (mount, second) = (target.mount(), target.second());
    let encoder = Encoder::with(target, &mount, mp3(), "")?;
    let _other = Encoder::with(target, &second, mp3(), "")?;
    target.wait_on_air(&second)?;
    let mut player = Player::tune_in(target, &mount, "")?;
    player.audio(HEARD_BYTES)?;
    let unknown = format!("/admin/killclient?mount={mount}&id=99999999");
    says(
        &admin(target, &unknown)?,
        "Client 99999999 not found",
        false,
    )?;
    let listed = format!("/admin/listclients?mount={mount}");
    let id = eventually(|| {
        let text = admin(target, &listed)?.text();
        held(parsed(&text)?.root_element(), "ID").map(str::to_owned)
    })?;
    let kill = format!("/admin/killclient?mount={mount}&id={id}");
    says(
        &admin(target, &kill)?,
        &format!("Client {id} removed"),
        true,
    )?;
    player.rest(CLOSES)?;
    let nowhere = format!("/admin/moveclients?mount={mount}&destination=/k71-none");
    admin(target, &nowhere)?.head.want(400)?;
    let moved = format!("/admin/moveclients?mount={mount}&destination={second}");
    let words = format!("Clients moved from {mount} to {second}");
    says(&admin(target, &moved)?, &words, true)?;
    let fallback = format!("/admin/fallbacks?mount={mount}&fallback={second}");
    admin(target, &fallback)?.want(200, "Fallback configured")?;
    let end = format!("/admin/killsource?mount={mount}");
    says(&admin(target, &end)?, "Source Removed", true)?;
    encoder.wait_closed(CLOSES).map(drop)
}

fn statistics_are_told_as_they_change(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mount = target.mount();
    target.ask("STATS / HTTP/1.0\r\n\r\n")?.head.want(401)?;
    let mut feed = target.open()?;
    feed.send(format!("STATS / HTTP/1.0\r\n{}\r\n", target.admin()?))?;
    feed.head()?.want(200)?;
    let mut wait_for = |wanted: &str| -> Outcome {
        while !feed.line()?.starts_with(wanted) {}
        Ok(())
    };
    wait_for("EVENT global sources ")?;
    wait_for(&format!("EVENT {mount} listenurl http://"))?;
    target.set_title("song=Seventy+Three")?;
    wait_for(&format!("EVENT {mount} title Seventy Three"))?;
    let page = target.get("/status.xsl", "")?;
    page.head.want(200)?;
    let text = page.text();
    let named = text.contains(&format!("Mount Point {mount}")) && text.contains("Seventy Three");
    want(named, || text.clone())?;
    admin(target, "/admin/none")?.want(400, "Unrecognised command")
}
