//! The rows that do not hold, and why: each list is proved by the run, in both directions.

/// The rows that icecast2 2.4.4 answers otherwise.
pub(crate) const ICECAST: &[(u8, &str)] = &[
    (7, "its 401 has no `Allow`"),
    (15, "it sends the chunks to listeners as they are"),
    (
        19,
        "it compares the whole type with `application/ogg`, and sends no header pages",
    ),
    (
        23,
        "it loses the audio that comes in the packet of the headers",
    ),
    (24, "it closes without a word"),
    (27, "it closes: the line is the password of the one mount"),
    (29, "the audio begins after 250 ms and more"),
    (
        34,
        "it closes the connection of a request of more than 4,095 bytes",
    ),
    (35, "in the status the title ends at its first `';`"),
    (
        36,
        "CR and LF are sent to listeners, and split lines of playlist.log",
    ),
    (37, "in the status the bytes are read as Latin-1"),
    (39, "the artist of the title before stays: `AA - New`"),
    (41, "the song wins"),
    (42, "it answers a form that is posted with 400"),
    (43, "listeners begin in the middle of a frame"),
    (45, "listeners begin at any cluster"),
    (47, "it has no titles for Ogg but those in Ogg"),
    (
        49,
        "the system's buffers, megabytes of them, are filled first",
    ),
    (
        54,
        "it sends the file five times as fast as it plays, and its tags again and again",
    ),
    (
        56,
        "the first mount whose source comes takes all listeners of the fallback",
    ),
    (
        58,
        "the stream behind the intro begins in the middle of a frame",
    ),
    (62, "it has no pls"),
    (63, "it answers HEAD with 400"),
    (64, "it closes without a word"),
    (
        66,
        "it sends the file from the beginning of the range to its end, and knows no other ranges",
    ),
    (83, "its relays know no HTTPS"),
    (
        85,
        "listeners are ended when the server is; it is asked again after two minutes, and there is no next one",
    ),
    (
        92,
        "it closes the connection of a head of more than 4,095 bytes",
    ),
    (
        93,
        "it cuts the path at `%00` and serves the mount; it closes on the others without a word",
    ),
    (94, "it heeds neither lengths nor chunks, and answers 200"),
    (95, "it writes the lines of the name into its file of users"),
    (96, "a second source is refused"),
    (97, "listeners are ended at once"),
];

/// The rows that Icecast-KH answers otherwise.
pub(crate) const KH: &[(u8, &str)] = &[
    (
        1,
        "the mount stays taken for seconds after its source has gone",
    ),
    (2, "listeners do not get the first second of the audio"),
    (3, "listeners do not get the first second of the audio"),
    (4, "listeners do not get the first second of the audio"),
    (7, "its 401 has no `Allow`"),
    (9, "it says 100 before it looks at the password"),
    (10, "it says 100 before it looks whether the mount is taken"),
    (
        12,
        "the words are in the status line, and the body is empty",
    ),
    (15, "it does not decode the chunks"),
    (16, "listeners do not get the first second of the audio"),
    (23, "listeners do not get the first second of the audio"),
    (24, "it says `OK2` to a wrong password"),
    (
        28,
        "the words are in the status line, and the body is empty",
    ),
    (34, "it closes the connection of a request that is so long"),
    (35, "for listeners the title ends at its first `';`"),
    (36, "CR and LF are sent to listeners"),
    (40, "the title before stays"),
    (42, "it answers a form that is posted with 501"),
    (45, "no cluster comes"),
    (47, "it has no titles for Ogg but those in Ogg"),
    (
        49,
        "the system's buffers, megabytes of them, are filled first",
    ),
    (
        50,
        "the words are in the status line, and the body is empty",
    ),
    (
        54,
        "listeners are ended, unless the rate of the file is set",
    ),
    (
        56,
        "the first mount whose source comes takes all listeners of the fallback",
    ),
    (62, "it has no pls"),
    (64, "the 404 does not allow the origin"),
    (65, "it answers the second one with 206 and two bytes `F`"),
    (66, "it sends bytes `F`, which are not in the file"),
    (68, "the answer has lines and indents"),
    (70, "the list is text/html"),
    (73, "it answers a command that is none with the statistics"),
    (
        83,
        "a server that sends chunks is not relayed, nor one whose certificate is its own",
    ),
    (
        85,
        "a server that breaks off early is left alone for two minutes; without another one listeners are ended",
    ),
    (92, "it closes the connection of a head that is so long"),
    (93, "it answers `%00` with 404"),
    (94, "it answers 200"),
    (95, "it answers 200"),
];

/// The rows that antiphon does not hold yet.
pub(crate) const NOT_YET: &[(u8, &str)] = &[];

/// Why a row is on a list, if it is.
pub(crate) fn reason(list: &[(u8, &'static str)], number: u8) -> Option<&'static str> {
    let mut found = list.iter().filter(|known| known.0 == number);
    found.next().map(|known| known.1)
}
