//! Colours for this terminal: 16 million, 256, 16 or none, over the shared [`palette`].

use ratatui::style::{Color, Modifier, Style};

use super::indexed;
use crate::palette::{self, Ground, Rgb, Roles, Shade};
use crate::tui::app::Mark;

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None, or none are wanted (`NO_COLOR`): signs and weight only.
    Mono,
    /// The 16 of the terminal's own theme.
    Ansi16,
    /// The 6×6×6 cube and its greys.
    Indexed256,
    /// 24 bits.
    TrueColor,
}

impl Depth {
    /// What the environment says; `var` looks a variable up.
    pub fn detect(var: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| var(name).unwrap_or_default();
        let term = get("TERM");
        if !get("NO_COLOR").is_empty() || term == "dumb" {
            return Self::Mono;
        }
        let direct = matches!(get("COLORTERM").as_str(), "truecolor" | "24bit") || term.ends_with("-direct");
        if direct || !get("WT_SESSION").is_empty() {
            Self::TrueColor
        } else if term.contains("256color") {
            Self::Indexed256
        } else {
            Self::Ansi16
        }
    }
}

/// What colour a thing has, by its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Text.
    Text,
    /// Labels and units.
    Dim,
    /// Titles, the cursor.
    Accent,
    /// Lines between panes.
    Line,
    /// Agreement.
    Good,
    /// Waiting, inconclusive.
    Caution,
    /// Divergence, failure.
    Bad,
    /// The reference.
    Reference,
    /// The candidate.
    Candidate,
    /// NaN and infinities.
    Nonfinite,
    /// What one side lacks.
    Missing,
    /// What cannot be compared.
    Mismatch,
}

/// Styles for one terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours at hand.
    pub depth: Depth,
    /// Light on dark or dark on light.
    pub ground: Ground,
    /// Colours by job; of terminals with 16 colours their own are used.
    pub roles: Roles,
}

impl Theme {
    /// The shipped colours on this ground.
    pub const fn new(depth: Depth, ground: Ground) -> Self {
        Self { depth, ground, roles: *palette::roles(ground) }
    }

    /// The theme for the terminal that the environment describes.
    pub fn detect() -> Self {
        let var = |name: &str| std::env::var(name).ok();
        // rxvt and Konsole say `text;ground`, in the numbers of the 16 colours.
        let ground = match var("COLORFGBG").as_deref().and_then(|v| v.rsplit(';').next()) {
            Some("7" | "15") => Ground::Light,
            _ => Ground::Dark,
        };
        Self::new(Depth::detect(var), ground)
    }

    /// Whether cells can be painted as blocks of any colour; otherwise they are signs.
    pub fn paints(&self) -> bool {
        self.depth >= Depth::Indexed256
    }

    /// A colour of the palette on this terminal.
    pub fn color(&self, rgb: Rgb) -> Color {
        match self.depth {
            Depth::TrueColor => Color::Rgb(rgb.0, rgb.1, rgb.2),
            Depth::Indexed256 => Color::Indexed(indexed::nearest(rgb)),
            Depth::Ansi16 | Depth::Mono => Color::Reset,
        }
    }

    /// The screen's ground.
    pub fn base(&self) -> Style {
        if self.paints() {
            Style::new().fg(self.color(self.roles.text)).bg(self.color(self.roles.ground))
        } else {
            Style::new()
        }
    }

    /// Text of this job.
    pub fn style(&self, role: Role) -> Style {
        match self.depth {
            Depth::Mono => match role {
                Role::Dim | Role::Line | Role::Missing => Style::new().add_modifier(Modifier::DIM),
                Role::Accent | Role::Bad | Role::Nonfinite => Style::new().add_modifier(Modifier::BOLD),
                _ => Style::new(),
            },
            Depth::Ansi16 => Style::new().fg(match role {
                Role::Text => Color::Reset,
                Role::Dim | Role::Line | Role::Missing => Color::DarkGray,
                Role::Accent => Color::Cyan,
                Role::Good => Color::Green,
                Role::Caution | Role::Candidate => Color::Yellow,
                Role::Bad => Color::LightRed,
                Role::Reference => Color::LightBlue,
                Role::Nonfinite => Color::LightMagenta,
                Role::Mismatch => Color::Gray,
            }),
            _ => Style::new().fg(self.color(self.rgb(role))),
        }
    }

    /// Bold text of this job.
    pub fn bold(&self, role: Role) -> Style {
        self.style(role).add_modifier(Modifier::BOLD)
    }

    /// Text on a bar of this job's colour.
    pub fn bar(&self, role: Role) -> Style {
        if self.paints() {
            Style::new()
                .fg(self.color(self.roles.ground))
                .bg(self.color(self.rgb(role)))
                .add_modifier(Modifier::BOLD)
        } else {
            self.style(role).add_modifier(Modifier::REVERSED | Modifier::BOLD)
        }
    }

    fn rgb(self, role: Role) -> Rgb {
        let roles = self.roles;
        match role {
            Role::Text => roles.text,
            Role::Dim => roles.dim,
            Role::Accent => roles.accent,
            Role::Line => roles.line,
            Role::Good => roles.good,
            Role::Caution => roles.caution,
            Role::Bad => roles.bad,
            Role::Reference => roles.reference,
            Role::Candidate => roles.candidate,
            Role::Nonfinite => roles.nonfinite,
            Role::Missing => roles.missing,
            Role::Mismatch => roles.mismatch,
        }
    }

    /// The colour of a mark as a painted block; none where a sign on the ground shows it.
    pub fn block(&self, shade: Shade) -> Option<Color> {
        let painted = matches!(shade, Shade::Within(_) | Shade::Beyond(_) | Shade::Infinite);
        shade.color(self.ground).filter(|_| painted && self.paints()).map(|rgb| self.color(rgb))
    }

    /// Black or white, whichever can be read on `shade`.
    pub fn on(&self, shade: Shade) -> Color {
        let light = shade.color(self.ground).is_some_and(|rgb| rgb.lightness() > 55.0);
        self.color(if light { Rgb(0, 0, 0) } else { Rgb(255, 255, 255) })
    }

    /// The sign and style of a mark that has a character to itself.
    pub fn mark(&self, mark: Mark) -> (char, Style) {
        let shade = mark.shade;
        let missing = match shade {
            Shade::Empty => Some((' ', Role::Dim)),
            Shade::Missing => Some(('·', Role::Missing)),
            Shade::Mismatch => Some(('≠', Role::Mismatch)),
            _ => None,
        };
        if let Some((glyph, role)) = missing {
            return (glyph, self.style(role));
        }
        let entrance = mark.origin.then_some(if mark.first { '◆' } else { '◇' });
        let entrance = if mark.faulty { Some('✘') } else { entrance };
        if let Some(color) = self.block(shade) {
            let glyph = entrance.or(shade.glyph()).unwrap_or(' ');
            let style = Style::new().fg(self.on(shade)).bg(color).add_modifier(Modifier::BOLD);
            return (glyph, style);
        }
        let (ladder, role) = match shade {
            Shade::Infinite => ('×', Role::Nonfinite),
            // The scale above noise has three decades; see `palette::severity_index`.
            Shade::Beyond(i) if i >= 204 => ('█', Role::Bad),
            Shade::Beyond(i) if i >= 153 => ('▓', Role::Bad),
            Shade::Beyond(_) => ('▒', Role::Caution),
            _ => ('-', Role::Good),
        };
        (entrance.unwrap_or(ladder), self.bold(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(vars: &[(&str, &str)]) -> Depth {
        Depth::detect(|name| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_owned()))
    }

    #[test]
    fn the_environment_tells_the_colours() {
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::TrueColor);
        assert_eq!(depth(&[("TERM", "tmux-256color")]), Depth::Indexed256);
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Ansi16);
        assert_eq!(depth(&[]), Depth::Ansi16);
        assert_eq!(depth(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]), Depth::Mono);
        assert_eq!(depth(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), Depth::Mono);
        // no-color.org: only when present and not empty.
        assert_eq!(depth(&[("NO_COLOR", ""), ("COLORTERM", "24bit")]), Depth::TrueColor);
    }

    #[test]
    fn without_colour_every_state_has_its_own_sign() {
        let theme = Theme::new(Depth::Mono, Ground::Dark);
        let shades = [
            Shade::Empty,
            Shade::Within(3),
            Shade::Missing,
            Shade::Mismatch,
            Shade::Beyond(120),
            Shade::Beyond(180),
            Shade::Beyond(250),
            Shade::Infinite,
        ];
        let mut signs: Vec<char> =
            shades.map(|shade| theme.mark(Mark { shade, ..Mark::default() }).0).to_vec();
        signs.push(theme.mark(Mark { shade: Shade::Beyond(200), origin: true, ..Mark::default() }).0);
        signs.sort_unstable();
        signs.dedup();
        assert_eq!(signs.len(), shades.len() + 1);
        assert!(shades.iter().all(|&shade| {
            let style = theme.mark(Mark { shade, origin: true, first: true, ..Mark::default() }).1;
            style.fg.is_none() && style.bg.is_none()
        }));
    }
}
