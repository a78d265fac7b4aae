//! The rows, in the order of their numbers as far as a file goes.

mod accounts;
mod admin;
mod fallbacks;
mod formats;
mod hostile;
mod lifetimes;
mod limits;
mod listeners;
mod logins;
mod pages;
mod puts;
mod relays;
mod shoutcast;
mod stations;
mod titles;
mod updates;

use crate::row::Row;

/// All rows, in the order of their numbers.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    let groups = [
        logins::ROWS,
        puts::ROWS,
        lifetimes::ROWS,
        stations::ROWS,
        shoutcast::ROWS,
        titles::ROWS,
        updates::ROWS,
        formats::ROWS,
        listeners::ROWS,
        limits::ROWS,
        fallbacks::ROWS,
        relays::ROWS,
        accounts::ROWS,
        admin::ROWS,
        pages::ROWS,
        hostile::ROWS,
    ];
    let mut rows: Vec<&Row> = groups.into_iter().flatten().collect();
    rows.sort_by_key(|row| row.number);
    rows.into_iter()
}
