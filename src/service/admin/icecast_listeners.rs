//! Icecast's addresses for listeners: `/admin/listclients` and `/admin/killclient`, for the whole mesh.

use hyper::StatusCode;

use super::Admin;
use super::call::{Answer, Call};
use super::icecast::{NO_SUCH_NODE, message, missing, named_mount, named_node, no_source};
use super::reply;
use crate::model::listener::{ListedListener, ListenerId, ListenerList};
use crate::model::mount::MountName;
use crate::service::audience::NotKilled;
use crate::wire::xml::Element;

/// Lists the listeners of a mount: `/admin/listclients?mount=…`, with `&node=…` those of one node.
pub(super) async fn list(admin: &Admin, call: Call) -> Answer {
    let Some(mount) = named_mount(&call, "mount") else {
        return Ok(missing("mount, the path of a mount such as /radio.mp3"));
    };
    if admin.0.mesh.documents.mount(&mount).is_none() {
        return Ok(no_source());
    }
    let Ok(node) = named_node(admin, &call) else {
        return Ok(missing(NO_SUCH_NODE));
    };
    let mut list = admin.0.audience.list(Some(&mount)).await;
    if let Some(node) = &node {
        list.listeners.retain(|listener| listener.node == *node);
        list.silent.retain(|silent| silent.node == *node);
    }
    let document = listing(&mount, &list).document();
    Ok(reply::xml(StatusCode::OK, document))
}

/// Ends a listener: `/admin/killclient?mount=…&id=…`, by the id of the list.
pub(super) async fn kill(admin: &Admin, call: Call) -> Answer {
    let Some(id) = call.parameter("id")? else {
        return Ok(missing("id, as /admin/listclients shows it"));
    };
    let not_found = format!("Client {id} not found");
    let Ok(listener) = id.parse::<ListenerId>() else {
        return Ok(message(StatusCode::OK, &not_found, 0));
    };
    let answer = match admin.0.audience.kill(&listener).await {
        Ok(()) => message(StatusCode::OK, &format!("Client {id} removed"), 1),
        Err(NotKilled::NoListener(_)) => message(StatusCode::OK, &not_found, 0),
        Err(error) => message(StatusCode::BAD_GATEWAY, &error.to_string(), 0),
    };
    Ok(answer)
}

/// The list under Icecast's names. Nodes that did not tell are named beside it, where Icecast's tools do not look.
fn listing(mount: &MountName, list: &ListenerList) -> Element {
    let count = list.listeners.len() as u64 + list.left_out;
    let source = Element::new("source")
        .with_attribute("mount", mount)
        .with(Element::of("Listeners", count))
        .with_all(list.listeners.iter().map(row));
    let silent = list.silent.iter();
    let silent =
        silent.map(|it| Element::of("silent_node", &it.why).with_attribute("name", &it.node));
    Element::new("icestats").with(source).with_all(silent)
}

fn row(listener: &ListedListener) -> Element {
    let facts = &listener.facts;
    Element::new("listener")
        .with(Element::of("IP", facts.ip))
        .with(Element::of("UserAgent", &facts.user_agent))
        .with(Element::of("Connected", facts.connected_s))
        .with(Element::of("ID", &listener.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listener::{ListenerFacts, SilentNode};
    use crate::model::node::NodeName;

    #[test]
    fn listeners_have_the_names_that_icecasts_tools_read() {
        let node: NodeName = "n1".parse().unwrap();
        let mount: MountName = "/a.mp3".parse().unwrap();
        let listener = ListedListener {
            id: "7@n1".parse().unwrap(),
            node: node.clone(),
            facts: ListenerFacts {
                mount: mount.clone(),
                ip: "::1".parse().unwrap(),
                user_agent: "a <player>".to_owned(),
                connected_s: 12,
                sent_bytes: 5,
            },
        };
        let list = ListenerList {
            listeners: vec![listener],
            left_out: 2,
            silent: vec![SilentNode {
                node: "n2".parse().unwrap(),
                why: "it is dead".to_owned(),
            }],
        };
        assert_eq!(
            listing(&mount, &list).to_string(),
            "<icestats><source mount=\"/a.mp3\"><Listeners>3</Listeners><listener><IP>::1</IP>\
             <UserAgent>a &lt;player&gt;</UserAgent><Connected>12</Connected><ID>7@n1</ID></listener></source>\
             <silent_node name=\"n2\">it is dead</silent_node></icestats>"
        );
    }
}
