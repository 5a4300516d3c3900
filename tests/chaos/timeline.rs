//! The run as a picture (SVG): answered calls over time, and below it each node's part: when it led, what befell it.

use std::fmt::Write as _;

use super::report::Run;
use crate::workload::Pace;

const WIDTH: f64 = 1160.0;
const LEFT: f64 = 120.0;
const RATES: f64 = 140.0;
const LANE: f64 = 34.0;
/// Seconds of a bucket of the rates.
#[expect(clippy::cast_precision_loss, reason = "a small constant")]
const BUCKET: f64 = Pace::BUCKET_MS as f64 / 1000.0;
/// Points of the rates at most.
const POINTS: usize = 1160;
const LEADS: &str = "#2563eb";
const HURT: &str = "#dc2626";
const ANSWERED: &str = "#059669";
const UNKNOWN: &str = "#d97706";

/// Draws a run.
pub fn timeline(run: &Run) -> String {
    let height = RATES + 60.0 + LANE * count(run.names.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 20.0
    );
    rates(run, &mut svg);
    for (node, name) in run.names.iter().enumerate() {
        lane(run, node, name, &mut svg);
    }
    let bottom = height - 12.0;
    for step in 0..=10 {
        let at = run.seconds * f64::from(step) / 10.0;
        text(&mut svg, x(run, at), bottom, &format!("{at:.0} s"), "middle");
    }
    svg + "</svg>\n"
}

fn x(run: &Run, seconds: f64) -> f64 {
    LEFT + WIDTH * (seconds / run.seconds).min(1.0)
}

fn text(svg: &mut String, x: f64, y: f64, words: &str, anchor: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

#[expect(clippy::cast_precision_loss, reason = "coordinates")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Answered calls a second as a line, writes without an answer as marks below it.
fn rates(run: &Run, svg: &mut String) {
    let buckets = &run.told.pace.buckets;
    // One point a pixel at most, whatever the length.
    let together = buckets.len().div_ceil(POINTS).max(1);
    let width = BUCKET * count(together);
    let points: Vec<(u32, u32)> = buckets
        .chunks(together)
        .map(|part| part.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)))
        .collect();
    for (i, _) in points.iter().enumerate().filter(|(_, point)| point.1 > 0) {
        let at = x(run, count(i) * width);
        let (top, foot) = (RATES + 22.0, RATES + 30.0);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {top}V{foot}\" stroke=\"{UNKNOWN}\"/>");
    }
    let answered: Vec<f64> = points.iter().map(|point| f64::from(point.0)).collect();
    let most = answered.iter().copied().fold(1.0, f64::max);
    let points = answered.iter().enumerate().map(|(i, calls)| {
        let (at, high) = (x(run, count(i) * width), RATES + 16.0 - RATES * calls / most);
        format!("{at:.1},{high:.1}")
    });
    let points: Vec<String> = points.collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{ANSWERED}\" stroke-width=\"1.5\"/>",
        points.join(" ")
    );
    text(svg, LEFT - 8.0, 26.0, &format!("{:.0} calls/s", most / width), "end");
    text(svg, LEFT - 8.0, RATES + 30.0, "no answer", "end");
}

fn lane(run: &Run, node: usize, name: &str, svg: &mut String) {
    let top = RATES + 40.0 + LANE * count(node);
    text(svg, LEFT - 8.0, top + 18.0, name, "end");
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{WIDTH}\" height=\"{:.1}\" fill=\"#f3f4f6\"/>",
        LANE - 6.0
    );
    for (i, (from, leader, term)) in
        run.leaders.iter().enumerate().filter(|(_, (_, leader, _))| *leader == node)
    {
        let until = run.leaders.get(i + 1).map_or(run.seconds, |next| next.0);
        bar(
            run,
            svg,
            (*from, until),
            (top, 8.0),
            LEADS,
            &format!("{} leads in term {term}", run.names[*leader]),
        );
    }
    for one in run.past.iter().filter(|one| one.nodes.contains(&node)) {
        let (at, words) = ((one.from, one.to), one.fault.to_string());
        bar(run, svg, at, (top + 10.0, 16.0), HURT, &words);
        // Written once, at the first of those it hits.
        if one.nodes.iter().min() == Some(&node) {
            text(svg, x(run, one.from) + 2.0, top + 22.0, &words, "start");
        }
    }
}

fn bar(
    run: &Run,
    svg: &mut String,
    (from, to): (f64, f64),
    (y, height): (f64, f64),
    colour: &str,
    title: &str,
) {
    let (left, right) = (x(run, from), x(run, to));
    let width = (right - left).max(1.0);
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\" \
         fill-opacity=\"0.45\"><title>{title}</title></rect>"
    );
}
