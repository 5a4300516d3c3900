//! Latency against throughput, as SVG: for each system a line over its numbers of clients.

use std::fmt::Write as _;

use super::sample::{Results, System, Work};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
/// Of the systems, in their order.
const COLOURS: [(System, &str); 3] =
    [(System::Dancu, "#c1121f"), (System::Etcd, "#33658a"), (System::Ceiling, "#8d8d8d")];

/// One system's points: clients, operations a second, milliseconds at the median and at the 99th percentile.
type Line = (System, &'static str, Vec<(u32, f64, f64, f64)>);

/// The plot of the reads, or of the writes.
pub fn svg(results: &Results, title: &str, of: fn(Work) -> Option<u32>) -> String {
    let line = |&(system, colour): &(System, &'static str)| -> Line {
        let mut points = Vec::new();
        for (_, work) in results.measured().filter(|(measured, _)| *measured == system) {
            let (Some(clients), Some(found)) = (of(work), results.median(system, work)) else { continue };
            if let (Some(p50), Some(p99)) = (found.p50_us, found.p99_us) {
                points.push((clients, found.per_s, p50 / 1e3, p99 / 1e3));
            }
        }
        points.sort_by_key(|point| point.0);
        (system, colour, points)
    };
    let lines: Vec<Line> = COLOURS.iter().map(line).filter(|(_, _, points)| !points.is_empty()).collect();
    let all = || lines.iter().flat_map(|(_, _, points)| points);
    let most = all().map(|point| point.1).fold(1.0, f64::max) * 1.05;
    let decades = |value: f64| value.max(0.001).log10();
    let low = decades(all().map(|point| point.2).fold(1.0, f64::min)).floor();
    let high = decades(all().map(|point| point.3).fold(1.0, f64::max)).ceil();
    let x = |per_s: f64| LEFT + per_s / most * (WIDTH - LEFT - RIGHT);
    let y = |ms: f64| HEIGHT - BOTTOM - (decades(ms) - low) / (high - low).max(1.0) * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut svg, (WIDTH / 2.0, 24.0), "middle", "#000", title);
    axes(&mut svg, most, (low, high), (&x, &y));
    for (place, (system, colour, points)) in lines.iter().enumerate() {
        for (dash, ms) in [("", 2), ("6 4", 3)] {
            let at = |point: &(u32, f64, f64, f64)| (x(point.1), y(if ms == 2 { point.2 } else { point.3 }));
            let path: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>",
                path.join(" ")
            );
            for point in points {
                let (x, y) = at(point);
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
                text(&mut svg, (x + 5.0, y - 5.0), "start", colour, &point.0.to_string());
            }
        }
        let height = TOP + 20.0 * place as f64;
        text(&mut svg, (WIDTH - RIGHT + 20.0, height), "start", colour, system.name());
    }
    let below = "numbers: clients; solid: p50; dashed: p99";
    text(&mut svg, (WIDTH - RIGHT, HEIGHT - 12.0), "end", "#555", below);
    svg + "</svg>\n"
}

/// 1, 2 or 5 times a power of ten, so that a handful of steps reach `most`.
fn step(most: f64) -> f64 {
    let power = 10f64.powf((most / 5.0).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= most / 5.0);
    times.unwrap_or(10.0) * power
}

/// Grid lines with their figures: some of throughput, one for each power of ten of latency.
fn axes(
    svg: &mut String,
    most: f64,
    (low, high): (f64, f64),
    (x, y): (&dyn Fn(f64) -> f64, &dyn Fn(f64) -> f64),
) {
    let mut grid = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let _ = writeln!(
            svg,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
        );
    };
    let rates: Vec<f64> = (0..).map(|n| f64::from(n) * step(most)).take_while(|rate| *rate <= most).collect();
    let latencies: Vec<f64> = (low as i32..=high as i32).map(|decade| 10f64.powi(decade)).collect();
    rates.iter().for_each(|&rate| grid(x(rate), TOP, x(rate), HEIGHT - BOTTOM));
    latencies.iter().for_each(|&ms| grid(LEFT, y(ms), WIDTH - RIGHT, y(ms)));
    for rate in rates {
        text(svg, (x(rate), HEIGHT - BOTTOM + 18.0), "middle", "#555", &format!("{}k/s", rate / 1e3));
    }
    for ms in latencies {
        text(svg, (LEFT - 8.0, y(ms) + 4.0), "end", "#555", &format!("{ms} ms"));
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
    );
}
