//! Every picture from every kind of session.

mod scenes;

use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;

use super::canvas::{Area, Canvas};
use super::map::{MapCell, MapData, MapRow, Mark};
use super::*;
use crate::compare::Severity;
use crate::model::Site;
use crate::palette::{Shade, roles, severity};
use scenes::Kind;

type Pixels = image::RgbImage;

fn draw(view: View, kind: Kind, format: Format, size: Option<(u32, u32)>) -> Vec<u8> {
    let (snapshot, cursor) = scenes::build(kind);
    encode(view, &Scene { snapshot: &snapshot, cursor }, format, size, Ground::Dark).expect("drawn")
}

fn svg(view: View, kind: Kind) -> String {
    String::from_utf8(draw(view, kind, Format::Svg, None)).expect("utf-8")
}

fn png(bytes: &[u8]) -> Pixels {
    image::load_from_memory(bytes).expect("a PNG").to_rgb8()
}

fn has(pixels: &Pixels, color: crate::palette::Rgb) -> bool {
    pixels.pixels().any(|p| p.0 == [color.0, color.1, color.2])
}

fn texts(svg: &str) -> Vec<String> {
    let parts = svg.split("<text").skip(1).filter_map(|t| t.split_once('>')?.1.split_once("</text>"));
    parts.map(|t| t.0.trim().replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">")).collect()
}

#[test]
fn every_view_draws_every_session_on_both_backends() {
    for kind in Kind::ALL {
        let (snapshot, cursor) = scenes::build(kind);
        let scene = Scene { snapshot: &snapshot, cursor };
        for info in VIEWS {
            let what = format!("{kind:?} {}", info.id);
            let size = (900, 600);
            let draw = |format| encode(info.view, &scene, format, Some(size), Ground::Dark).expect(&what);
            let first = draw(Format::Png);
            let pixels = png(&first);
            assert_eq!(pixels.dimensions(), size, "{what}");
            let colors: HashSet<_> = pixels.pixels().map(|p| p.0).collect();
            // Title and text alone have dozens of shades between ink and ground.
            assert!(colors.len() > 24, "{what}: {} colours", colors.len());
            let drawing = String::from_utf8(draw(Format::Svg)).expect("utf-8");
            assert!(drawing.starts_with("<svg width=\"900\" height=\"600\""), "{what}");
            assert!(drawing.trim_end().ends_with("</svg>"), "{what}");
            assert!(texts(&drawing).len() > 3, "{what}");
            if kind != Kind::Huge {
                assert!(first == draw(Format::Png), "{what}: other bytes the second time");
                assert!(drawing.into_bytes() == draw(Format::Svg), "{what}: other bytes the second time");
            }
        }
    }
}

#[test]
fn no_size_is_too_small_or_too_narrow() {
    for kind in [Kind::Empty, Kind::One, Kind::Odd, Kind::Hostile] {
        let (snapshot, cursor) = scenes::build(kind);
        let scene = Scene { snapshot: &snapshot, cursor };
        for info in VIEWS {
            for size in [(64, 64), (64, 900), (2000, 64), (200, 120), (333, 217)] {
                for format in [Format::Png, Format::Svg] {
                    encode(info.view, &scene, format, Some(size), Ground::Light).expect("drawn");
                }
            }
        }
    }
}

#[test]
fn pictures_say_what_they_show() {
    let expect = |view: View, needles: &[&str]| {
        let all = texts(&svg(view, Kind::Fault));
        for needle in needles {
            assert!(all.iter().any(|t| t.contains(needle)), "{view:?} lacks {needle:?}: {all:?}");
        }
    };
    let mark = "first divergence: position 5, Kcur_rope-3, 214× noise";
    expect(View::Map, &[mark, "out", "l 3", "in", "position and token", "100", "× noise", "NaN, ∞", "▁fox"]);
    expect(View::Layer, &[mark, "Kcur_rope", "kq_soft_max", "checkpoints of layer 3"]);
    expect(View::Heatmaps, &["reference", "candidate", "difference", "214× noise", "8 × 48 values"]);
    expect(View::Channels, &["Kcur_rope in every layer", "l 2", "l 4", "350", "difference"]);
    expect(View::Attention, &["kq_soft_max-3, position 5", "h 0", "h 3", "position", "difference"]);
    expect(View::Logits, &["‘▁over’", ".620", "▲1", "new", "KL 0.412 nats"]);
    expect(View::Tokens, &["▁jumps", "first divergence", "output 214× noise"]);
    expect(View::Growth, &["nmse", "1e-6", "l 5", mark]);
    expect(
        View::Screen,
        &["paritty", "llama.cpp (CPU)", "fault: rope-pairing", "live 24/64", "parity map", "verdict", mark],
    );
}

#[test]
fn faulty_operations_are_marked_at_their_place() {
    let (mut snapshot, cursor) = scenes::build(Kind::Fault);
    let marks = |snapshot: &Snapshot, view| {
        let scene = Scene { snapshot, cursor };
        let drawing = encode(view, &scene, Format::Svg, None, Ground::Dark).expect("drawn");
        texts(&String::from_utf8(drawing).expect("utf-8")).iter().filter(|t| t.contains('✘')).count()
    };
    assert_eq!([View::Map, View::Layer].map(|view| marks(&snapshot, view)), [0, 0]);
    snapshot.diagnosis = scenes::diagnosis(vec![5, 6, 9]);
    // One a faulty cell, one in the legend.
    assert_eq!([View::Map, View::Layer].map(|view| marks(&snapshot, view)), [4, 4]);
    let csv = encode(View::Map, &Scene { snapshot: &snapshot, cursor }, Format::Csv, None, Ground::Dark);
    let csv = String::from_utf8(csv.expect("drawn")).expect("utf-8");
    let faulty: Vec<&str> = csv.lines().filter(|l| l.ends_with(",yes")).collect();
    assert_eq!(faulty.len(), 3);
    assert!(faulty.iter().all(|l| l.contains(",l 3,")));
}

#[test]
fn divergence_shows_in_its_own_colour_and_only_where_there_is_one() {
    let color = severity(Severity(214.0), Ground::Dark);
    // The scale in the legend shows every colour; the map alone does not.
    let alone = |kind| {
        let (snapshot, cursor) = scenes::build(kind);
        let mut data = adapt::map(&Scene { snapshot: &snapshot, cursor });
        data.mark = None;
        data.cursor = None;
        plain(&data, (600, 300))
    };
    let (fault, clean) = (alone(Kind::Fault), alone(Kind::Clean));
    assert!(has(&fault, color));
    assert!(!has(&clean, color));
    let odd = alone(Kind::Odd);
    let roles = roles(Ground::Dark);
    assert!(has(&odd, roles.nonfinite) && has(&odd, roles.missing) && has(&odd, roles.mismatch));
    assert!(!has(&clean, roles.nonfinite));
}

/// A map without its legend.
fn plain(data: &MapData, size: (u32, u32)) -> Pixels {
    let mut buffer = vec![0; size.0 as usize * size.1 as usize * 3];
    let mut canvas = Canvas::bitmap(&mut buffer, size).expect("large enough");
    let style = Style::fitting(size, 80, 24, Ground::Dark);
    data.draw(&mut canvas, Area::new(0, 0, size.0 as i32, size.1 as i32), &style, false);
    canvas.finish().expect("drawn");
    Pixels::from_raw(size.0, size.1, buffer).expect("as large as that")
}

#[test]
fn folding_many_positions_into_one_pixel_keeps_the_single_bad_one() {
    let cell = |s: f32| MapCell {
        shade: Shade::of_severity(Severity(s)),
        severity: Some(Severity(s)),
        ..MapCell::default()
    };
    let n = 4096;
    let mut cells = vec![cell(0.1); n];
    cells[2777] = cell(500.0);
    let data = MapData {
        positions: (0..n as u32).collect(),
        rows: vec![MapRow { label: "l 0".to_owned(), number: Some(0), cells }],
        ..MapData::default()
    };
    let pixels = plain(&data, (400, 120));
    let bad = severity(Severity(500.0), Ground::Dark);
    let columns: HashSet<u32> =
        pixels.enumerate_pixels().filter(|p| p.2.0 == [bad.0, bad.1, bad.2]).map(|p| p.0).collect();
    assert_eq!(columns.len(), 1, "{columns:?}");
}

#[test]
fn cells_stand_at_their_place() {
    let cell = |s: f32| MapCell { shade: Shade::of_severity(Severity(s)), ..MapCell::default() };
    let row = |label: &str, bad: Option<usize>| MapRow {
        label: label.to_owned(),
        number: None,
        cells: (0..10).map(|i| cell(if bad == Some(i) { 50.0 } else { 0.2 })).collect(),
    };
    let rows = vec![row("out", None), row("l 1", Some(7)), row("l 0", None)];
    let data = MapData { positions: (0..10).collect(), rows, ..MapData::default() };
    let pixels = plain(&data, (700, 300));
    let places = |s: f32| -> Vec<(u32, u32)> {
        let c = severity(Severity(s), Ground::Dark);
        pixels.enumerate_pixels().filter(|p| p.2.0 == [c.0, c.1, c.2]).map(|p| (p.0, p.1)).collect()
    };
    let (bad, calm) = (places(50.0), places(0.2));
    let span = |v: &[u32]| (v.iter().min().copied().unwrap_or(0), v.iter().max().copied().unwrap_or(0));
    let (left, right) = span(&bad.iter().map(|p| p.0).collect::<Vec<_>>());
    let (top, bottom) = span(&bad.iter().map(|p| p.1).collect::<Vec<_>>());
    let (first, last) = span(&calm.iter().map(|p| p.0).collect::<Vec<_>>());
    let (above, below) = span(&calm.iter().map(|p| p.1).collect::<Vec<_>>());
    let (width, height) = ((last + 1 - first) / 10, (below + 1 - above) / 3);
    // The eighth of ten columns, the second of three rows, to a pixel of rounding and separators.
    assert!(
        left.abs_diff(first + 7 * width) <= 2 && right.abs_diff(first + 8 * width) <= 2,
        "{left} {right} {first} {last}"
    );
    assert!(
        top.abs_diff(above + height) <= 2 && bottom.abs_diff(above + 2 * height) <= 2,
        "{top} {bottom} {above} {below}"
    );
}

#[test]
fn a_mark_or_cursor_outside_the_map_is_no_harm() {
    let data = MapData {
        positions: vec![7],
        rows: vec![MapRow { label: "l 0".to_owned(), number: Some(0), cells: Vec::new() }],
        mark: Some(Mark { column: 9, row: 9, label: "x".to_owned() }),
        cursor: Some((5, 5)),
        ..MapData::default()
    };
    plain(&data, (300, 200));
}

#[test]
fn huge_sessions_stay_small_on_paper() {
    // Cells are capped at 16,384 for a map and 4,096 for each of three heatmaps; a rectangle takes
    // about 100 bytes.
    let (snapshot, cursor) = scenes::build(Kind::Huge);
    let scene = Scene { snapshot: &snapshot, cursor };
    for (view, cells) in
        [(View::Map, 16_384), (View::Layer, 16_384), (View::Heatmaps, 3 * 4_096), (View::Screen, 28_672)]
    {
        let bytes = encode(view, &scene, Format::Svg, None, Ground::Dark).expect("drawn");
        let drawing = String::from_utf8(bytes).expect("utf-8");
        let count = drawing.matches("<rect").count();
        // The frame, legend and chips add a few hundred.
        assert!(count < cells + 2_000, "{view:?}: {count}");
        assert!(drawing.len() < (cells + 4_000) * 120, "{view:?}: {} bytes", drawing.len());
    }
}

#[test]
fn hostile_text_stays_text() {
    for info in VIEWS {
        let drawing = svg(info.view, Kind::Hostile);
        let bad =
            drawing.chars().find(|c| (c.is_control() && *c != '\n') || matches!(*c, '\u{fffe}' | '\u{ffff}'));
        assert_eq!(bad, None, "{}", info.id);
        assert!(!drawing.contains("<script"), "{}", info.id);
        assert_eq!(drawing.matches("<text").count(), drawing.matches("</text>").count(), "{}", info.id);
        assert_eq!(drawing.matches("<svg").count(), 1, "{}", info.id);
        // Every ampersand begins one of the five entities.
        for part in drawing.split('&').skip(1) {
            let known = ["lt;", "gt;", "amp;", "quot;", "apos;"].iter().any(|e| part.starts_with(e));
            assert!(known, "{}: &{}", info.id, part.chars().take(12).collect::<String>());
        }
    }
    let all = texts(&svg(View::Tokens, Kind::Hostile));
    assert!(all.iter().any(|t| t == "\\u{1b}[2J"), "{all:?}");
}

#[test]
fn light_and_dark_differ_in_ground_and_not_in_shape() {
    let (snapshot, cursor) = scenes::build(Kind::Fault);
    let scene = Scene { snapshot: &snapshot, cursor };
    for info in VIEWS {
        let draw = |ground| encode(info.view, &scene, Format::Svg, None, ground).expect("drawn");
        let (dark, light) = (draw(Ground::Dark), draw(Ground::Light));
        let tags = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches("<text").count();
        assert_eq!(tags(&dark), tags(&light), "{}", info.id);
        let corner = |ground| {
            *png(&encode(info.view, &scene, Format::Png, None, ground).expect("drawn")).get_pixel(0, 0)
        };
        assert_ne!(corner(Ground::Dark), corner(Ground::Light));
    }
}

#[test]
fn data_lies_behind_every_picture() {
    let csv = |view| String::from_utf8(draw(view, Kind::Fault, Format::Csv, None)).expect("utf-8");
    assert!(csv(View::Map).lines().any(|l| l.starts_with("5,l 3,beyond-noise,214,Kcur_rope-3")));
    assert!(csv(View::Layer).lines().any(|l| l == "5,Kcur_rope,beyond-noise,214,Kcur_rope-3,"));
    assert!(csv(View::Tokens).lines().any(|l| l == "5,15,▁jumps,prompt,beyond-noise,"));
    assert!(csv(View::Logits).lines().any(|l| l == "candidate,0,107,▁on,11.5,0.31,1"));
    assert_eq!(csv(View::Heatmaps).lines().count(), 1 + 48 * 8);
    let channels = csv(View::Channels);
    assert_eq!(channels.lines().count(), 1 + 3 * 48 * 8);
    assert!(channels.lines().any(|l| l.starts_with("Kcur_rope-4,0,") && l.ends_with(",,")), "one side only");
    assert!(csv(View::Attention).lines().any(|l| l == "1,2,0.05,0.75,0.7"));
    for info in VIEWS {
        let text = csv(info.view);
        // Separators outside quotes.
        let fields =
            |line: &str| line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
        let width = text.lines().next().map_or(0, fields);
        assert!(text.lines().all(|l| fields(l) == width), "{}", info.id);
    }
}

#[test]
fn views_stand_at_their_own_index_and_ids_are_unique() {
    for (index, info) in VIEWS.iter().enumerate() {
        assert_eq!(info.view as usize, index);
        assert_eq!(View::from_id(info.id), Some(info.view));
    }
    assert_eq!(View::from_id("nothing"), None);
}

#[test]
fn file_names_are_plain() {
    let at = Checkpoint::layer(Site::KcurRope, 7);
    assert_eq!(
        file_name("map", "Tiny Llama/1.1B", 5, at, "png"),
        "paritty-Tiny-Llama-1.1B-map-p5-Kcur_rope-7.png"
    );
    assert_eq!(file_name("map", "../../\u{1b}[0m", 0, at, "svg"), "paritty-0m-map-p0-Kcur_rope-7.svg");
    assert_eq!(file_name("map", "中文", 0, at, "svg"), "paritty-model-map-p0-Kcur_rope-7.svg");
    let long = file_name("screen", &"x".repeat(500), u32::MAX, at, "png");
    assert!(long.len() < 120);
}

#[test]
fn files_appear_complete_or_not_at_all() {
    let (snapshot, cursor) = scenes::build(Kind::One);
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["map.png", "map.svg", "map.csv"].map(|name| folder.path().join(name));
    for file in &files {
        render(View::Map, &snapshot, cursor, file, None).expect("written");
    }
    assert!(files.iter().all(|f| f.metadata().is_ok_and(|m| m.len() > 0)));
    let there = std::fs::read_dir(folder.path()).expect("listed").count();
    assert_eq!(there, 3, "a temporary file was left");

    let message = |target: &Path, size| {
        render(View::Map, &snapshot, cursor, target, size).expect_err("must fail").to_string()
    };
    let lost = folder.path().join("no/such/folder.png");
    let text = message(&lost, None);
    assert!(text.contains("no/such/folder.png") && text.contains("folder exists"), "{text}");
    let text = message(&folder.path().join("picture.gif"), None);
    assert!(text.contains("picture.gif") && text.contains(".svg"), "{text}");
    let text = message(folder.path(), None);
    assert!(text.contains("extension"), "{text}");
    for size in [(0, 100), (100, 20_000), (16_384, 16_384)] {
        assert!(message(&files[0], Some(size)).contains("cannot be drawn"));
    }
    let directory = folder.path().join("taken.png");
    std::fs::create_dir(&directory).expect("created");
    assert!(message(&directory, None).contains("taken.png"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 4, "a temporary file was left");
}

proptest! {
    #[test]
    fn cut_and_wrapped_text_never_exceeds_its_columns(text in any::<String>(), max in 0usize..40) {
        prop_assert!(font::columns(&font::fit(&text, max)) as usize <= max);
        // A wide character alone may exceed one column.
        for line in font::wrap(&text, max) {
            prop_assert!(font::columns(&line) as usize <= max.max(2), "{line:?}");
        }
    }

    #[test]
    fn any_value_has_a_look(bits in any::<u32>(), limit in any::<u32>()) {
        let (value, limit) = (f32::from_bits(bits), f32::from_bits(limit));
        crate::palette::value(value, limit, Ground::Dark);
        severity(Severity(value), Ground::Light);
        crate::wording::times(Severity(value));
        crate::figures::probability(value);
    }
}

/// Writes every picture of every scene into the folder named by `PARITTY_GALLERY`, for looking at.
#[test]
fn gallery() {
    let Some(folder) = std::env::var_os("PARITTY_GALLERY") else { return };
    let folder = Path::new(&folder);
    for kind in Kind::ALL {
        let (snapshot, cursor) = scenes::build(kind);
        for info in VIEWS {
            for (suffix, ground) in [("", Ground::Dark), ("-light", Ground::Light)] {
                for ext in ["png", "svg", "csv"] {
                    let target = folder.join(format!("{kind:?}-{}{suffix}.{ext}", info.id));
                    render_on(ground, info.view, &snapshot, cursor, &target, None).expect("written");
                }
            }
            for size in [(640, 400), (2400, 1500)] {
                let target = folder.join(format!("{kind:?}-{}-{}x{}.png", info.id, size.0, size.1));
                render(info.view, &snapshot, cursor, &target, Some(size)).expect("written");
            }
        }
    }
    for (name, scale, unit) in
        [("rates", axis::Scale::Linear, bars::Unit::Percent), ("nmse", axis::Scale::Log, bars::Unit::Figure)]
    {
        let models =
            ["TinyLlama-1.1B Q4_K_M", "Llama-3-8B Q4_K_M", "Qwen2.5-0.5B F16", "Phi-3-mini", "GPT-2", "x"];
        let value = |i: usize, s: usize| match (i, s) {
            (5, 0) => None,
            (4, 1) => Some(f64::NAN),
            (i, 0) => Some([0.2, 0.7, 0.0, 0.06, 0.28, 1.0][i]),
            (i, s) => Some(10f64.powi(-(i as i32)) / s as f64),
        };
        let data = BarsData {
            title: "an example".into(),
            axis: "normalised squared error, worst".into(),
            scale,
            unit,
            series: vec!["published".into(), "measured".into(), "oracle".into()],
            groups: models
                .iter()
                .enumerate()
                .map(|(i, m)| BarGroup { label: (*m).into(), values: (0..3).map(|s| value(i, s)).collect() })
                .collect(),
            limit: Some((0.1, "limit".into())),
        };
        for (suffix, size) in [("", None), ("-small", Some((480, 320)))] {
            let bytes = bars(&data, Format::Png, size, Ground::Light).expect("drawn");
            write(&folder.join(format!("bars-{name}{suffix}.png")), &bytes).expect("written");
        }
    }
}
