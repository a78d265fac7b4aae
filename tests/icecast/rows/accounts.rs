//! Listeners that have to log in.

use crate::encoder::{Encoder, eventually};
use crate::media::frames::mp3;
use crate::player::Player;
use crate::row::{Level, Needs, Outcome, Row, want};
use crate::server::Login;
use crate::socket::Reply;
use crate::target::{Target, authorization};

/// The bytes by which a listener has heard what it hears.
const HEARD_BYTES: usize = 4_000;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[Row {
    number: 80,
    level: Level::Must,
    expected: "a mount with accounts (`htpasswd`), which `manageauth` adds, lists and deletes: 401 without a login and with a wrong \
               one, the stream with the right one, and 401 for a second listener of an account that may have one",
    needs: Needs::mount(&[("htpasswd", "users80"), ("max_per_account", "1")]),
    check: an_account_lets_one_listener_in,
}];

/// The answer to a command on accounts.
fn manage(target: &Target<'_>, command: &str) -> Result<Reply, crate::row::Fault> {
    let asked = format!("/admin/manageauth?mount={}&{command}", target.mount());
    let reply = target.get(&asked, &target.admin()?)?;
    reply.head.want(200)?;
    Ok(reply)
}

fn refused(target: &Target<'_>, login: &str) -> Outcome {
    let (mount, host) = (target.mount(), target.host());
    let mut socket = target.open()?;
    socket.send(format!(
        "GET {mount} HTTP/1.0\r\nHost: {host}\r\n{login}\r\n"
    ))?;
    let head = socket.head()?;
    head.want(401)?;
    let asked = head.header("www-authenticate").unwrap_or_default();
    want(asked == "Basic realm=\"Icecast2 Server\"", || {
        format!("WWW-Authenticate is {asked:?}")
    })
}

fn an_account_lets_one_listener_in(target: &Target<'_>) -> Outcome {
    let _encoder = Encoder::start(target, mp3())?;
    let mount = target.mount();
    let login = |password| authorization(&Login::new("k80", password));
    refused(target, "")?;
    refused(target, &login("k80-pw"))?;
    let added = manage(target, "action=add&username=k80&password=k80-pw")?;
    let words = "<iceresponse><message>User added</message></iceresponse>";
    want(added.text().contains(words), || added.text())?;
    let listed = manage(target, "action=list")?;
    let user = "<User><username>k80</username></User>";
    want(listed.text().contains(user), || listed.text())?;
    let again = manage(target, "action=add&username=k80&password=x")?;
    let words = "User already exists - not added";
    want(again.text().contains(words), || again.text())?;
    let mut player = Player::tune_in(target, &mount, &login("k80-pw"))?;
    player.audio(HEARD_BYTES)?;
    refused(target, &login("wrong"))?;
    refused(target, &login("k80-pw"))?;
    drop(player);
    eventually(|| {
        let mut player = Player::tune_in(target, &mount, &login("k80-pw"))?;
        player.audio(HEARD_BYTES).map(drop)
    })?;
    let deleted = manage(target, "action=delete&username=k80")?;
    want(deleted.text().contains("User deleted"), || deleted.text())?;
    eventually(|| refused(target, &login("k80-pw")))
}
