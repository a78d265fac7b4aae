//! The peaks of all ways as bars, one panel for each scenario.

use std::fmt::Write as _;

use crate::report::Row;

/// Pixels from the left to where bars begin, and the length of a bar of 100 %.
const LEFT: f64 = 210.0;
const FULL: f64 = 170.0;
/// A bar is cut here; its figure tells how far it would go.
const LONGEST: f64 = 2.0;
/// Pixels of one bar with its gap, of a panel's title, and of a panel's width.
const BAR: f64 = 16.0;
const TITLE: f64 = 30.0;
const WIDTH: f64 = 640.0;
/// Panels side by side.
const COLUMNS: usize = 2;

/// Draws the rows, which come scenario by scenario, with the same ways in each.
pub(crate) fn svg(rows: &[Row]) -> String {
    let panels: Vec<&[Row]> = rows.chunk_by(|a, b| a.scenario == b.scenario).collect();
    let height = TITLE + BAR * panels.first().map_or(0, |panel| panel.len()) as f64 + 14.0;
    let whole = height * panels.len().div_ceil(COLUMNS) as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{whole}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        WIDTH * COLUMNS as f64
    );
    for (index, panel) in panels.into_iter().enumerate() {
        let x = WIDTH * (index % COLUMNS) as f64;
        let y = height * (index / COLUMNS) as f64;
        writeln!(
            text,
            "<g transform=\"translate({x},{y})\">{}</g>",
            drawn(panel)
        )
        .expect("a string takes everything");
    }
    text + "</svg>\n"
}

/// One scenario.
fn drawn(panel: &[Row]) -> String {
    let title = panel.first().map_or("", |row| row.scenario);
    let mut text = format!("<text x=\"10\" y=\"20\" font-weight=\"bold\">{title}</text>");
    for (index, row) in panel.iter().enumerate() {
        let (mean, worst) = (row.summary.mean.peak, row.summary.worst.peak);
        let y = TITLE + BAR * index as f64;
        let long = |share: f64| share.min(LONGEST) * FULL;
        // The usual policy stands out; so does a node that is over its limit.
        let colour = match index {
            0 => "#1b7837",
            _ if mean > 1.0 => "#c51b1b",
            _ => "#8c96a3",
        };
        let way = row.way.replace('`', "");
        let base = y + 11.0;
        write!(
            text,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{way}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\" opacity=\".35\"/>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{base}\">{:.1} %</text>",
            LEFT - 6.0,
            long(worst),
            long(mean),
            LEFT + long(worst) + 5.0,
            mean * 100.0,
        )
        .expect("a string takes everything");
    }
    let ideal = panel.first().map_or(0.0, |row| row.summary.mean.ideal);
    let x = LEFT + ideal * FULL;
    let bottom = TITLE + BAR * panel.len() as f64;
    text + &format!(
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TITLE}\" y2=\"{bottom}\" stroke=\"#000\" stroke-dasharray=\"3 2\"/>"
    )
}
