//! What the server takes over time, as SVG, in colours that are readable on light and dark backgrounds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::anyhow;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::pages::Record;
use super::samples::{LEVELS, Level, Sample, median};
use crate::report::Unit;

const TEXT: RGBColor = RGBColor(128, 136, 148);
const COLOURS: [RGBColor; 5] = [
    RGBColor(214, 122, 52),
    RGBColor(112, 144, 184),
    RGBColor(104, 164, 108),
    RGBColor(176, 120, 176),
    RGBColor(196, 164, 60),
];

const SIZE: (u32, u32) = (860, 220);

/// The lowest rate on a logarithmic scale.
const LEAST: f64 = 0.1;

/// The most points of a line.
const POINTS: usize = 180;

/// A line: its name, and its values by minute.
type Line = (String, Vec<(f64, f64)>);

/// Draws a chart for each level and one for the outcomes, and returns the names of the files with the titles.
pub(super) fn draw(record: &Record, folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for level in &LEVELS {
        let unit = if matches!(level.unit, Unit::Growth) { ", MiB" } else { "" };
        let title = format!("{}{unit}, by minute", level.name);
        files.push((format!("soak-{}.svg", level.name), title, vec![line(&record.samples, level)]));
    }
    files.push(("soak-outcomes.svg".to_owned(), "requests/s by outcome, by minute".to_owned(), rates(&record.samples)));
    let mut names = Vec::new();
    for (name, title, lines) in files {
        let mut svg = String::new();
        chart(&title, &lines, record.seconds as f64 / 60.0, &mut svg).map_err(|error| anyhow!("{name}: {error}"))?;
        fs::write(folder.join(&name), svg)?;
        names.push((name, title));
    }
    Ok(names)
}

/// The samples in groups, of which each becomes a point.
fn groups(samples: &[Sample]) -> impl Iterator<Item = &[Sample]> {
    samples.chunks(samples.len().div_ceil(POINTS).max(1))
}

fn minute(group: &[Sample]) -> f64 {
    median(group, |sample| sample.seconds) / 60.0
}

fn line(samples: &[Sample], level: &Level) -> Line {
    let scale = if matches!(level.unit, Unit::Growth) { f64::from(1 << 20) } else { 1.0 };
    let points = groups(samples).map(|group| (minute(group), median(group, level.of) / scale));
    (level.name.to_owned(), points.collect())
}

/// The rates of the outcomes, the most frequent first.
fn rates(samples: &[Sample]) -> Vec<Line> {
    let names: BTreeSet<&String> = samples.iter().flat_map(|sample| sample.outcomes.keys()).collect();
    let count = |sample: &Sample, name: &str| sample.outcomes.get(name).copied().unwrap_or(0) as f64;
    let groups: Vec<&[Sample]> = groups(samples).collect();
    let mut lines: Vec<Line> = names
        .into_iter()
        .map(|name| {
            let points = groups.windows(2).filter_map(|pair| {
                let (before, after) = (pair[0].first()?, pair[1].first()?);
                let rate = (count(after, name) - count(before, name)) / (after.seconds - before.seconds);
                Some((minute(pair[0]), rate.max(LEAST)))
            });
            (name.clone(), points.collect())
        })
        .collect();
    let sum = |line: &Line| line.1.iter().map(|(_, rate)| rate).sum::<f64>();
    lines.sort_by(|one, other| sum(other).total_cmp(&sum(one)));
    lines
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn chart(title: &str, lines: &[Line], minutes: f64, svg: &mut String) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let (area, legend) = root.split_horizontally(if lines.len() > 1 { 700 } else { 860 });
    let most = lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&area);
    chart
        .caption(title, text(17).pos(Pos::new(HPos::Center, VPos::Center)))
        .margin_right(24)
        .x_label_area_size(26)
        .y_label_area_size(60);
    if lines.len() > 1 {
        // A rare outcome is a line of its own, too.
        fill(chart.build_cartesian_2d(0.0..minutes, (LEAST..most * 1.5).log_scale())?, lines)?;
    } else {
        fill(chart.build_cartesian_2d(0.0..minutes, 0.0..most * 1.15)?, lines)?;
    }
    for (at, (name, _)) in lines.iter().enumerate().filter(|_| lines.len() > 1) {
        let top = 34 + 17 * i32::try_from(at)?;
        legend.draw(&PathElement::new([(0, top), (24, top)], style(at)))?;
        legend.draw(&Text::new(name.clone(), (30, top), text(14).pos(Pos::new(HPos::Left, VPos::Center))))?;
    }
    root.present()?;
    Ok(())
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

/// With more lines than colours, the second turn is thin.
fn style(at: usize) -> ShapeStyle {
    COLOURS[at % COLOURS.len()].stroke_width(if at < COLOURS.len() { 2 } else { 1 })
}

type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>;

fn fill<Y>(mut chart: Chart<'_, '_, Y>, lines: &[Line]) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let number = |value: &f64| if *value < 1.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(TEXT.mix(0.3))
        .axis_style(TEXT)
        .label_style(text(14))
        .x_labels(7)
        .y_labels(5)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .draw()?;
    for (at, (_, points)) in lines.iter().enumerate() {
        chart.draw_series(LineSeries::new(points.iter().copied(), style(at)))?;
    }
    Ok(())
}
