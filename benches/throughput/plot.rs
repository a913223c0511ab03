//! The picture beside the table: calls a second by the number of callers, the service beside pgbench.

use std::fmt::{self, Write};

use crate::figures::Median;
use crate::rig::{Method, Spread};
use crate::rounds::Row;
use crate::table::title;

const PANELS: [(Method, Spread); 6] = [
    (Method::Create, Spread::Many),
    (Method::Create, Spread::One),
    (Method::Accept, Spread::Many),
    (Method::Accept, Spread::One),
    (Method::Get, Spread::Many),
    (Method::List, Spread::Many),
];
const COLUMNS: u16 = 2;
/// Of a panel, with its title above and the numbers of callers below the bars.
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 180.0;
const ABOVE: f64 = 50.0;
const BELOW: f64 = 20.0;
const MARGIN: f64 = 20.0;
const BAR: f64 = 34.0;
const OURS: &str = "#2563eb";
const THEIRS: &str = "#9ca3af";

pub fn draw(rows: &[Row]) -> Result<String, fmt::Error> {
    let panels = PANELS.map(|(method, spread)| {
        (
            title(method, spread),
            rows.iter().filter(|row| row.method == method && row.spread == spread).collect::<Vec<_>>(),
        )
    });
    let lines = PANELS.len().div_ceil(COLUMNS.into());
    let width = f64::from(COLUMNS) * (WIDTH + MARGIN) + MARGIN;
    let height = lines_up(lines) + MARGIN + 24.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (at, (title, rows)) in panels.iter().enumerate() {
        let (column, line) = (at % usize::from(COLUMNS), at / usize::from(COLUMNS));
        let x = MARGIN + if column == 0 { 0.0 } else { WIDTH + MARGIN };
        panel(&mut svg, title, rows, x, lines_up(line) + MARGIN)?;
    }
    let y = height - 12.0;
    for (x, color, name) in [(MARGIN, OURS, "service"), (MARGIN + 90.0, THEIRS, "pgbench")] {
        writeln!(svg, "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{color}\"/>", y - 9.0)?;
        writeln!(svg, "<text x=\"{}\" y=\"{y}\">{name}</text>", x + 14.0)?;
    }
    let explained = "calls a second by callers; the lines go from the least round to the greatest";
    writeln!(svg, "<text x=\"{}\" y=\"{y}\" fill=\"#555\">{explained}</text>\n</svg>", MARGIN + 180.0)?;
    Ok(svg)
}

/// The height of so many lines of panels.
fn lines_up(lines: usize) -> f64 {
    crate::figures::count(lines) * (HEIGHT + MARGIN)
}

fn panel(svg: &mut String, title: &str, rows: &[&Row], x: f64, y: f64) -> fmt::Result {
    let bottom = y + HEIGHT - BELOW;
    writeln!(svg, "<text x=\"{x}\" y=\"{}\" font-size=\"13\" font-weight=\"bold\">{title}</text>", y + 14.0)?;
    writeln!(svg, "<path d=\"M{x} {bottom}h{WIDTH}\" stroke=\"#555\"/>")?;
    let rates = rows.iter().flat_map(|row| [row.rate(), row.reference()]).flatten();
    let most = rates.map(|rate| rate.greatest).fold(1.0, f64::max);
    let scale = (HEIGHT - ABOVE - BELOW) / most;
    let step = WIDTH / 4.0;
    for (n, row) in rows.iter().enumerate() {
        let middle = x + step * (crate::figures::count(n) + 0.5);
        for (left, color, rate) in [(middle - BAR - 1.0, OURS, row.rate()), (middle + 1.0, THEIRS, row.reference())] {
            if let Some(rate) = rate {
                bar(svg, left, bottom, scale, color, rate)?;
            }
        }
        writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", bottom + 14.0, row.callers)?;
    }
    Ok(())
}

fn bar(svg: &mut String, left: f64, bottom: f64, scale: f64, color: &str, rate: Median) -> fmt::Result {
    let Median { value, least, greatest } = rate;
    let [height, low, high] = [value, least, greatest].map(|rate| rate * scale);
    let middle = left + BAR / 2.0;
    writeln!(
        svg,
        "<rect x=\"{left}\" y=\"{:.1}\" width=\"{BAR}\" height=\"{height:.1}\" fill=\"{color}\"/>\n\
         <path d=\"M{middle} {:.1}V{:.1}\" stroke=\"black\"/>\n\
         <text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.0}</text>",
        bottom - height,
        bottom - low,
        bottom - high,
        bottom - high - 4.0,
    )
}
