//! `/admin/stats`: one `<source mount="…">` for each mount, hidden ones too, with its limit.

use super::{BadAnswer, MAX_MOUNTS_READ, ServerLoad, child, count, limit, parse};
use crate::model::outside::Slots;

pub(super) fn read(text: &str) -> Result<ServerLoad, BadAnswer> {
    let stats = parse(text)?;
    let root = stats.root_element();
    if !root.has_tag_name("icestats") {
        return Err(BadAnswer::OtherPage("icestats"));
    }
    let mut load = ServerLoad::default();
    let sources = root.children().filter(|node| node.has_tag_name("source"));
    for source in sources.take(MAX_MOUNTS_READ) {
        let slots = Slots {
            listeners: child(source, "listeners").map_or(0, count),
            max_listeners: child(source, "max_listeners").and_then(limit),
        };
        let listeners = load.server.listeners.saturating_add(slots.listeners);
        load.server.listeners = listeners;
        if let Some(mount) = source.attribute("mount") {
            load.mounts.insert(mount.to_owned(), slots);
        }
    }
    // Icecast's own sum also counts listeners that are just changing their mount.
    let said = child(root, "listeners").map_or(0, count);
    load.server.listeners = load.server.listeners.max(said);
    Ok(load)
}

#[cfg(test)]
mod tests {
    use super::super::tests::slots;
    use super::*;

    #[test]
    fn limits_are_of_mounts_and_listeners_are_of_all() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<icestats><clients>9</clients>\
            <listeners>8</listeners>\
            <source mount=\"/a.mp3\"><listeners>3</listeners><max_listeners>unlimited</max_listeners></source>\
            <source mount=\"/b.mp3\"><title>x &amp; y</title><listeners>4</listeners>\
            <max_listeners>5</max_listeners></source><source mount=\"/c\"/></icestats>";
        let load = read(text).unwrap();
        assert_eq!(load.server, slots(8, None));
        assert_eq!(load.mounts["/a.mp3"], slots(3, None));
        assert_eq!(load.mounts["/b.mp3"], slots(4, Some(5)));
        assert_eq!(load.mounts["/c"], slots(0, None));
    }

    #[test]
    fn another_page_is_none() {
        assert_eq!(read("<html/>"), Err(BadAnswer::OtherPage("icestats")));
        assert!(read("").is_err());
    }
}
