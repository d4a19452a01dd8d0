//! The sheets as SVG, in colours that are readable on light and dark backgrounds.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::results::{Figure, Results, Round, Sheet, Spread};
use crate::contender;

/// A grey that is readable on light and dark backgrounds.
const TEXT: RGBColor = RGBColor(128, 136, 148);
const OTHERS: RGBColor = RGBColor(112, 144, 184);
const OWN: RGBColor = RGBColor(214, 122, 52);

/// The figures of a chart, side by side.
const PANELS: [(&str, Figure); 2] = [("requests/s", Round::per_second), ("CPU per request, µs", |round| round.cpu_us)];

const WIDTH: u32 = 860;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws one chart for each sheet, and removes the charts of earlier runs.
pub(crate) fn draw(results: &Results, folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            fs::remove_file(path)?;
        }
    }
    for sheet in &results.sheets {
        let mut svg = String::new();
        let drawn = if sheet.axis.is_some() { lines(sheet, &mut svg) } else { bars(sheet, &mut svg) };
        drawn.map_err(|error| anyhow!("{}: {error}", sheet.name))?;
        fs::write(folder.join(format!("{}.svg", sheet.name)), svg)?;
    }
    Ok(())
}

fn text(size: u32, horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT).pos(Pos::new(horizontal, VPos::Center))
}

fn colour(name: &str) -> RGBColor {
    if name.starts_with("gateway") { OWN } else { OTHERS }
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

// ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const NAMES: i32 = 190;
const LINE: i32 = 26;
const HEAD: i32 = 30;

fn bars(sheet: &Sheet, svg: &mut String) -> Drawn {
    let height = HEAD + LINE * i32::try_from(sheet.rows.len())?;
    let root = SVGBackend::with_string(svg, (WIDTH, height.cast_unsigned())).into_drawing_area();
    let middle = |row: usize| HEAD + LINE * row as i32 + LINE / 2;
    let names = if sheet.rows.iter().any(|row| row.name.len() > 26) { NAMES + 60 } else { NAMES };
    for (at, row) in sheet.rows.iter().enumerate() {
        root.draw(&Text::new(row.name.clone(), (names - 10, middle(at)), text(16, HPos::Right)))?;
    }
    let width = (WIDTH.cast_signed() - names) / 2;
    for (panel, (title, figure)) in PANELS.into_iter().enumerate() {
        let left = names + width * panel as i32;
        root.draw(&Text::new(title, (left, HEAD / 2), text(16, HPos::Left)))?;
        let spreads: Vec<Spread> = sheet.rows.iter().map(|row| row.spread(figure)).collect();
        let most = spreads.iter().map(|spread| spread.high).fold(f64::MIN_POSITIVE, f64::max);
        // The remaining width is for the number at the end of the bar.
        let scale = f64::from(width - 90) / most;
        for (at, (row, spread)) in sheet.rows.iter().zip(&spreads).enumerate() {
            bar(&root, left, middle(at), scale, *spread, colour(&row.name))?;
        }
    }
    root.present()?;
    Ok(())
}

/// Draws a bar whose length is the median, with a line from the minimum to the maximum, and its number.
fn bar(root: &Area<'_>, left: i32, middle: i32, scale: f64, spread: Spread, colour: RGBColor) -> Drawn {
    if spread.median.is_nan() {
        root.draw(&Text::new("failed", (left, middle), text(15, HPos::Left)))?;
        return Ok(());
    }
    let end = |value: f64| left + (value * scale).round() as i32;
    let corners = [(left, middle - 8), (end(spread.median), middle + 8)];
    root.draw(&Rectangle::new(corners, colour.mix(0.8).filled()))?;
    root.draw(&PathElement::new([(end(spread.low), middle), (end(spread.high), middle)], TEXT.stroke_width(2)))?;
    let number = if spread.median < 100.0 { format!("{:.1}", spread.median) } else { format!("{:.0}", spread.median) };
    root.draw(&Text::new(number, (end(spread.high) + 6, middle), text(15, HPos::Left)))?;
    Ok(())
}

// ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The rows that are drawn if a sheet has many: with more, the lines could not be distinguished.
fn drawn(sheet: &Sheet) -> Vec<&str> {
    let few = contender::drawn();
    let names = sheet.names();
    if names.len() <= few.len() {
        names
    } else {
        names.into_iter().filter(|name| few.iter().any(|known| known == name)).collect()
    }
}

fn lines(sheet: &Sheet, svg: &mut String) -> Drawn {
    let root = SVGBackend::with_string(svg, (WIDTH, 320)).into_drawing_area();
    let (charts, legend) = root.split_vertically(290);
    let names = drawn(sheet);
    for ((title, figure), area) in PANELS.into_iter().zip(charts.split_evenly((1, 2))) {
        curves(sheet, &names, &format!("{title}, by {}", sheet.axis.as_deref().unwrap_or_default()), figure, &area)?;
    }
    let mut left = 60;
    for name in names {
        legend.draw(&PathElement::new([(left, 15), (left + 24, 15)], stroke(sheet, name)))?;
        legend.draw(&Text::new(name.to_owned(), (left + 30, 15), text(16, HPos::Left)))?;
        left += 60 + 7 * name.len() as i32;
    }
    root.present()?;
    Ok(())
}

/// The line style: thin for rows other than the gateway's and the yardstick.
fn stroke(sheet: &Sheet, name: &str) -> ShapeStyle {
    let thin = name != sheet.yardstick && !name.starts_with("gateway");
    colour(name).stroke_width(if thin { 1 } else { 3 })
}

fn curves(sheet: &Sheet, names: &[&str], title: &str, figure: Figure, area: &Area<'_>) -> Drawn {
    let places = sheet.places();
    // The positions are spaced evenly, regardless of their values.
    let points: Vec<(&str, Vec<(f64, f64)>)> = names
        .iter()
        .map(|name| {
            let rows = places.iter().enumerate().filter_map(|(at, &place)| Some((at, sheet.row(name, Some(place))?)));
            let points = rows.map(|(at, row)| (at as f64, row.spread(figure).median));
            (*name, points.filter(|(_, value)| !value.is_nan()).collect())
        })
        .collect();
    let most = points.iter().flat_map(|(_, points)| points).map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let last = places.len().saturating_sub(1).max(1);
    let mut chart = ChartBuilder::on(area)
        .caption(title, text(17, HPos::Center))
        .margin_right(24)
        .x_label_area_size(26)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..last as f64, 0.0..most * 1.1)?;
    let name_of = |at: &f64| places.get(at.round() as usize).map_or_else(String::new, u64::to_string);
    let number = |value: &f64| if most < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(TEXT.mix(0.3))
        .axis_style(TEXT)
        .label_style(("sans-serif", 14).into_font().color(&TEXT))
        .x_labels(places.len())
        .y_labels(6)
        .x_label_formatter(&name_of)
        .y_label_formatter(&number)
        .draw()?;
    for (name, points) in points {
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour(name).filled())))?;
        chart.draw_series(LineSeries::new(points, stroke(sheet, name)))?;
    }
    Ok(())
}
