//! Heatmaps in pixels: the same values, folded alike, and nothing told by colour alone.

use paritty::palette::{self, Rgb};
use paritty::tui::app::Action;
use paritty::tui::graphics::{CellSize, Picture, Pictures};
use paritty::tui::keymap::Keymap;
use paritty::tui::panes::Context;
use paritty::tui::views::View;
use paritty::tui::{App, view};
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;

use crate::drawing::{TRUE, focused, refocus};
use crate::snapshots::Scene;

const CELL: CellSize = CellSize { width: 8, height: 16 };

fn draw(app: &App, width: u16, height: u16, colors: usize) -> (Buffer, Vec<Picture>) {
    let (keymap, pictures) = (Keymap::default(), Pictures::new(CELL, 4, colors));
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    let context = Context { pictures: Some(&pictures), ..Context::new(app, &TRUE, &keymap) };
    view::render(context, buf.area, &mut buf);
    let shown = pictures.settle(&mut buf);
    (buf, shown)
}

fn at(scene: &Scene, view: View) -> App {
    let mut app = focused(scene);
    app.update(Action::Look(view));
    refocus(scene, &mut app);
    app
}

fn counts(picture: &Picture, color: Rgb) -> usize {
    picture.pixels.iter().filter(|&&pixel| picture.colors[usize::from(pixel)] == color).count()
}

#[test]
fn every_view_with_heatmaps_has_them_in_pixels() {
    let scene = Scene::faulty();
    for (view, least) in
        [(View::Overview, 3), (View::Tensor, 3), (View::Channels, 3), (View::Attention, 3), (View::Layer, 0)]
    {
        let app = at(&scene, view);
        let (buf, shown) = draw(&app, 150, 50, 256);
        assert!(shown.len() >= least, "{view:?}: {}", shown.len());
        for picture in &shown {
            assert!(picture.is_sound(), "{view:?}");
            let pixels = [picture.area.width * CELL.width, picture.area.height * CELL.height].map(u32::from);
            assert_eq!(picture.size, pixels, "{view:?}");
            assert!(picture.area.positions().all(|at| buf[at].diff_option == CellDiffOption::Skip));
        }
        for (i, a) in shown.iter().enumerate() {
            assert!(shown[i + 1..].iter().all(|b| a.area.intersection(b.area).is_empty()), "{view:?}");
        }
    }
}

#[test]
fn the_scale_keeps_its_ends_and_its_middle_with_few_colours() {
    let app = at(&Scene::faulty(), View::Tensor);
    for colors in [16, 64, 256] {
        let (_, shown) = draw(&app, 150, 50, colors);
        let table = palette::value_table(TRUE.ground);
        assert!(shown.iter().all(|p| p.colors.len() <= colors && p.is_sound()), "{colors}");
        let scale = &shown[0].colors[4..];
        assert_eq!([scale[0], scale[scale.len() - 1]], [table[0], table[255]]);
        assert_eq!(scale.len() % 2, 1, "zero has a shade of its own");
    }
}

#[test]
fn the_cursor_is_framed_in_all_three() {
    let app = at(&Scene::faulty(), View::Tensor);
    let (_, shown) = draw(&app, 150, 50, 256);
    let framed = shown.iter().filter(|picture| counts(picture, TRUE.roles.accent) >= 24);
    assert_eq!(framed.count(), shown.len());
    let (_, shown) = draw(&at(&Scene::faulty(), View::Overview), 150, 50, 256);
    assert!(shown.iter().all(|picture| counts(picture, TRUE.roles.accent) == 0));
}

#[test]
fn nothing_panics_at_any_size_and_what_lies_over_a_picture_is_not_drawn_on() {
    let scene = Scene::faulty();
    for view in View::ALL {
        let mut app = at(&scene, *view);
        for (width, height) in [(1, 1), (40, 10), (41, 11), (80, 24), (121, 33), (300, 100)] {
            draw(&app, width, height, 256);
        }
        app.update(Action::OpenPalette);
        let (buf, shown) = draw(&app, 100, 30, 256);
        for picture in shown {
            assert!(picture.area.positions().all(|at| buf[at].symbol() == " "), "{view:?}");
        }
        app.update(Action::Help);
        app.update(Action::Help);
        assert!(draw(&app, 100, 30, 256).1.is_empty(), "the help lies over everything");
    }
}
