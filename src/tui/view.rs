//! Draws the state, and tells which action a mouse event means.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::app::{Action, App, Overlay, Place, Typed};
use super::kinds::PaneKind;
use super::layout::{Layout, MIN_HEIGHT, MIN_WIDTH};
use super::panes::{self, Context, footer, help, prompt, span, title};
use super::theme::Role;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, context: Context<'_>) {
    let area = frame.area();
    render(context, area, frame.buffer_mut());
}

/// Draws the whole screen into `area` of a buffer.
pub fn render(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let Context { app, theme, .. } = context;
    let area = area.intersection(buf.area);
    buf.set_style(area, theme.base());
    let Some(layout) = layout(app, area) else {
        return too_small(context, area, buf);
    };
    title::draw(context, layout.title, buf);
    footer::draw(context, layout.footer, buf);
    let over = over(&layout, area);
    if let Overlay::Help { .. } = app.overlay() {
        return help::draw(context, over, buf);
    }
    for &(pane, place) in &layout.panes {
        panes::draw(pane, context, place, buf);
    }
    prompt::draw(context, over, layout.footer, buf);
}

/// Everything between title and footer.
fn over(layout: &Layout, area: Rect) -> Rect {
    let height = layout.footer.y.saturating_sub(layout.title.bottom());
    Rect { y: layout.title.bottom(), height, ..area }
}

/// Where the panes are on a screen of this size.
pub fn layout(app: &App, area: Rect) -> Option<Layout> {
    Layout::new(area, app.wish())
}

fn too_small(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let style = context.theme.bold(Role::Caution);
    let wanted = format!("at least {MIN_WIDTH}×{MIN_HEIGHT}, q quits");
    panes::put(buf, area, 0, &Line::from(span("terminal too small", style)));
    panes::put(buf, area, 1, &Line::from(span(&wanted, style)));
}

/// What a mouse event asks for on a screen of this size.
pub fn mouse(event: MouseEvent, context: Context<'_>, area: Rect) -> Option<Action> {
    let app = context.app;
    let layout = layout(app, area)?;
    let (x, y) = (event.column, event.row);
    if app.place() == Place::Prompt {
        return match event.kind {
            MouseEventKind::ScrollUp => Some(Action::Wheel(app.pane(), -1)),
            MouseEventKind::ScrollDown => Some(Action::Wheel(app.pane(), 1)),
            MouseEventKind::Down(MouseButton::Left) if y == layout.footer.y => None,
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Action::Type(prompt::hit(context, over(&layout, area), y).unwrap_or(Typed::Esc)))
            }
            _ => None,
        };
    }
    let wheel = |notches| Some(Action::Wheel(layout.pane_at(x, y).unwrap_or(PaneKind::Map), notches));
    match event.kind {
        MouseEventKind::ScrollUp => wheel(-1),
        MouseEventKind::ScrollDown => wheel(1),
        MouseEventKind::ScrollLeft => Some(Action::Left),
        MouseEventKind::ScrollRight => Some(Action::Right),
        MouseEventKind::Down(MouseButton::Left) if y == layout.footer.y => {
            footer::hit(context, layout.footer, x)
        }
        MouseEventKind::Down(MouseButton::Left) if *app.overlay() != Overlay::None => Some(Action::Help),
        MouseEventKind::Down(MouseButton::Left) => {
            if let Some(split) = layout.split_at(x, y) {
                return Some(Action::Grab(split.id));
            }
            let pane = layout.pane_at(x, y)?;
            let place = layout.area(pane)?;
            Some(panes::hit(pane, context, place, x, y).unwrap_or(Action::FocusOn(pane)))
        }
        MouseEventKind::Drag(MouseButton::Left) => {
            let split = layout.split(app.dragged()?)?;
            Some(Action::Drag(split.id, split.percent(x, y)))
        }
        MouseEventKind::Up(MouseButton::Left) => app.dragged().map(|_| Action::Drop),
        _ => None,
    }
}
