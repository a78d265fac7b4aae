//! A plain line chart as SVG: logarithmic across, linear up, readable on light and dark pages.

use std::fmt::Write as _;

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// The text of the legend.
    pub name: &'static str,
    /// The points, from left to right; what is no number is left out.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The title above the picture.
    pub title: &'static str,
    /// The label of the horizontal axis.
    pub across: &'static str,
    /// The label of the vertical axis.
    pub up: &'static str,
    /// The lines, of which there are colours for [`COLOURS`].
    pub series: Vec<Series>,
}

/// The picture, and the part of it that the axes span, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;
/// How many ticks the vertical axis should have, about.
const TICKS: f64 = 5.0;
/// Colours that can be told from each other by everybody, and from white and black.
pub const COLOURS: [&str; 4] = ["#2f7ed8", "#e07b39", "#2a9d6f", "#b05cc6"];
/// Dark text on light pages, and the other way round.
const STYLE: &str = "\
<style>
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #8884; stroke-width: 1 }
  .axis { stroke: #888; stroke-width: 1 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } }
</style>";

/// The place of values in the picture.
struct Frame {
    least: f64,
    most: f64,
    top: f64,
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        let span = (self.most / self.least).ln().max(f64::EPSILON);
        LEFT + (value / self.least).ln() / span * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)
    }
}

impl Chart {
    /// The chart as a file's text.
    pub fn draw(&self) -> String {
        let points = self.series.iter().flat_map(|series| &series.points);
        let points: Vec<(f64, f64)> = points.copied().filter(|(_, y)| y.is_finite()).collect();
        let highest = points.iter().map(|(_, y)| *y).fold(0.0, f64::max);
        let step = step(highest);
        let frame = Frame {
            least: points.iter().map(|(x, _)| *x).fold(f64::MAX, f64::min),
            most: points.iter().map(|(x, _)| *x).fold(1.0, f64::max),
            top: (highest / step).ceil().max(1.0) * step,
        };
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}\">\n{STYLE}\n<text class=\"title\" x=\"{LEFT}\" y=\"26\">{title}</text>\n",
            title = self.title
        );
        self.axes(&frame, step, &mut text);
        for (number, series) in self.series.iter().enumerate() {
            series.draw(&frame, COLOURS[number % COLOURS.len()], number, &mut text);
        }
        text.push_str("</svg>\n");
        text
    }

    fn axes(&self, frame: &Frame, step: f64, text: &mut String) {
        frame.levels(step, text);
        let points = self.series.iter().flat_map(|series| &series.points);
        let mut places: Vec<f64> = points.map(|(x, _)| *x).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        frame.places(&places, text);
        let (across, low) = (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 12.0);
        let centre = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let turned = format!(" transform=\"rotate(-90 18 {centre})\"");
        for (x, y, turn, name) in [
            (across, low, "", self.across),
            (18.0, centre, turned.as_str(), self.up),
        ] {
            let place = format_args!("x=\"{x}\" y=\"{y}\" text-anchor=\"middle\"{turn}");
            put(text, format_args!("<text {place}>{name}</text>"));
        }
    }
}

impl Frame {
    /// The vertical axis: a line across and a number at each tick.
    fn levels(&self, step: f64, text: &mut String) {
        let (mut value, right) = (0.0, WIDTH - RIGHT);
        while value <= self.top + step / 2.0 {
            let (y, label) = (self.y(value), shown(value));
            let place = format_args!("x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"");
            put(text, format_args!("<line class=\"grid\" {place}/>"));
            let (x, y) = (LEFT - 8.0, y + 4.0);
            let place = format_args!("x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\"");
            put(text, format_args!("<text {place}>{label}</text>"));
            value += step;
        }
    }

    /// The horizontal axis, with a tick at each of these.
    fn places(&self, values: &[f64], text: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in values {
            let (x, below, beneath) = (self.x(*value), bottom + 5.0, bottom + 20.0);
            let label = shown(*value);
            let place = format_args!("x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{below}\"");
            put(text, format_args!("<line class=\"axis\" {place}/>"));
            let place = format_args!("x=\"{x:.1}\" y=\"{beneath}\" text-anchor=\"middle\"");
            put(text, format_args!("<text {place}>{label}</text>"));
        }
        let place = format_args!("x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"");
        put(text, format_args!("<line class=\"axis\" {place}/>"));
    }
}

impl Series {
    fn draw(&self, frame: &Frame, colour: &str, number: usize, text: &mut String) {
        let finite = self.points.iter().filter(|(_, y)| y.is_finite());
        let places: Vec<(f64, f64)> = finite.map(|(x, y)| (frame.x(*x), frame.y(*y))).collect();
        let line: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        put(
            text,
            format_args!(
                "<polyline class=\"line\" stroke=\"{colour}\" points=\"{}\"/>",
                line.join(" ")
            ),
        );
        for (x, y) in places {
            put(
                text,
                format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"),
            );
        }
        // The legend is at the upper left, where lines that rise leave room.
        let y = TOP + 16.0 + 20.0 * number as f64;
        let (x, beside) = (LEFT + 16.0, LEFT + 32.0);
        put(
            text,
            format_args!(
                "<circle cx=\"{x}\" cy=\"{:.1}\" r=\"5\" fill=\"{colour}\"/>",
                y - 4.0
            ),
        );
        put(
            text,
            format_args!("<text x=\"{beside}\" y=\"{y:.1}\">{}</text>", self.name),
        );
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a text has room");
}

/// The distance of ticks: 1, 2 or 5 of some power of ten.
fn step(highest: f64) -> f64 {
    let rough = (highest / TICKS).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    let fitting = steps.into_iter().find(|step| *step >= rough);
    fitting.unwrap_or(power * 10.0)
}

/// A tick's number, without the zeros and errors of its fraction.
fn shown(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!([0.9, 4.0, 11.0, 23.0].map(step), [0.2, 1.0, 5.0, 5.0]);
        assert_eq!([0.6000000001, 10.0, 0.0].map(shown), ["0.6", "10", "0"]);
    }

    #[test]
    fn points_lie_within_the_picture_without_non_numbers() {
        let chart = Chart {
            title: "t",
            across: "nodes",
            up: "s",
            series: vec![Series {
                name: "a",
                points: vec![(3.0, 1.0), (10.0, f64::NAN), (1_000.0, 9.0)],
            }],
        };
        let text = chart.draw();
        assert!(text.contains("points=\"64.0,332.4 696.0,79.6\""), "{text}");
        assert!(!text.contains("NaN"));
    }
}
