//! What the terminal can show. It is asked, in one go, and answers within a moment or not at all; the last
//! question is one that every terminal answers, so that its answer ends the waiting.

use std::fmt;

use super::Protocol;
use super::choice::Choice;
use super::display::Placing;
use super::picture::{COLORS, CellSize};
use super::surroundings::{Between, Surroundings};

/// Number of the picture in the question, which is never shown.
const ASKED: &str = "31";

/// The questions: whether it takes pictures by kitty's protocol, what it is called (XTVERSION), how large its
/// characters are, and what it can do (DA1).
pub(super) const QUESTIONS: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>0q\x1b[16t\x1b[c";

/// For a terminal with sixels: how many colours they may have (XTSMGRAPHICS).
pub(super) const COLORS_OF_SIXELS: &str = "\x1b[?1;1;0S\x1b[c";

/// A request for as many colours as a picture has.
pub(super) const MORE_COLORS: &str = "\x1b[?1;3;256S\x1b[c";

/// What a terminal said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// It takes pictures by kitty's protocol.
    pub kitty: bool,
    /// It shows sixels.
    pub sixel: bool,
    /// Name and version.
    pub name: String,
    /// Pixels of a character.
    pub cell: Option<CellSize>,
    /// Colours that sixels may have.
    pub colors: Option<usize>,
    /// Whether the last question has been answered.
    pub complete: bool,
    /// What was no answer: what the user has typed meanwhile.
    pub typed: Vec<u8>,
    /// The beginning of an answer whose end has not come.
    pub begun: Vec<u8>,
}

impl Answers {
    /// Reads what has come so far.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut answers = Self::default();
        while let Some((piece, rest)) = next(bytes) {
            if !answers.take(piece) {
                answers.typed.extend_from_slice(piece);
            }
            bytes = rest;
        }
        // The beginning of an answer is none of the user's keys; ESC alone is one.
        let rest = if bytes.len() == 1 { &mut answers.typed } else { &mut answers.begun };
        rest.extend_from_slice(bytes);
        answers
    }

    /// Takes an answer over; says whether it is one.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        let string = |start: &[u8]| {
            let body = piece.strip_prefix(start)?.strip_suffix(b"\x1b\\")?;
            Some(String::from_utf8_lossy(body).into_owned())
        };
        if let Some(body) = string(b"\x1b_G") {
            self.kitty |= body.split_once(';').is_some_and(|(keys, said)| {
                said == "OK" && keys.split(',').any(|key| key.strip_prefix("i=") == Some(ASKED))
            });
            return true;
        }
        if let Some(body) = string(b"\x1bP") {
            if let Some(name) = body.strip_prefix(">|") {
                self.name = crate::text::safe_short(name, 60);
            }
            return true;
        }
        let Some((&kind, body)) = piece.strip_prefix(b"\x1b[").and_then(<[u8]>::split_last) else {
            return false;
        };
        let body = String::from_utf8_lossy(body);
        let numbers = |text: &str| -> Vec<u32> { text.split(';').map(|n| n.parse().unwrap_or(0)).collect() };
        match (kind, body.strip_prefix('?')) {
            (b'c', Some(body)) => {
                // The first says what it emulates, the others what it can do; 4 is sixels.
                self.sixel |= numbers(body).iter().skip(1).any(|&n| n == 4);
                self.complete = true;
            }
            (b'S', Some(body)) => {
                if let [1, 0, colors, ..] = numbers(body)[..] {
                    self.colors = Some(colors as usize);
                }
            }
            (b't', None) => {
                if let [6, height, width, ..] = numbers(&body)[..] {
                    self.cell = CellSize::new(width.min(9999) as u16, height.min(9999) as u16);
                }
            }
            _ => return false,
        }
        true
    }
}

/// The first sequence or character, and what follows; nothing while it is incomplete.
fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match bytes {
        [0x1b, b'_' | b'P' | b']', ..] => bytes.windows(2).position(|w| w == b"\x1b\\")? + 2,
        [0x1b, b'[', rest @ ..] => rest.iter().position(|byte| (0x40..0x7f).contains(byte))? + 3,
        [0x1b, b'O', _, ..] => 3,
        [] | [0x1b] => return None,
        _ => 1,
    };
    Some(bytes.split_at(end))
}

/// How a terminal shows pictures, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How, if it does.
    pub placing: Option<Placing>,
    /// Why so, in words.
    pub why: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.placing {
            Some(Placing { protocol, cell, colors }) => {
                let name = protocol.name();
                write!(f, "{name}, {}×{} pixels a character", cell.width, cell.height)?;
                if colors < COLORS {
                    write!(f, ", {colors} colours")?;
                }
                write!(f, " ({})", self.why)
            }
            None => write!(f, "half blocks ({})", self.why),
        }
    }
}

/// A character where nobody says how large it is: protocols that fit pictures into cells need only about the shape.
const USUAL: CellSize = CellSize { width: 10, height: 20 };

/// Decides by what is wanted, what lies between, and what the terminal said.
pub fn decide(choice: Choice, around: &Surroundings, answers: &Answers) -> Found {
    let none = |why: &str| Found { placing: None, why: why.to_owned() };
    let (protocol, why) = match (choice, &around.between) {
        (Choice::None, _) => return none("asked for"),
        (Choice::Kitty, Between::Tmux(_)) => (Protocol::KittyText, "asked for".to_owned()),
        (Choice::Kitty, _) => (Protocol::Kitty, "asked for".to_owned()),
        (Choice::Iterm, _) => (Protocol::Iterm, "asked for".to_owned()),
        (Choice::Sixel, _) => (Protocol::Sixel, "asked for".to_owned()),
        (Choice::Auto, Between::Tmux(Ok(()))) => (Protocol::KittyText, "through tmux".to_owned()),
        (Choice::Auto, Between::Tmux(Err(why))) => return none(why),
        (Choice::Auto, Between::Screen) => return none("GNU screen lets no pictures through"),
        (Choice::Auto, Between::Nothing) => {
            let says = |what: &str| match answers.name.as_str() {
                "" => format!("the terminal says that it takes {what}"),
                name => format!("{name} takes {what}"),
            };
            let inline = ["iTerm2", "WezTerm"].iter().any(|name| answers.name.starts_with(name));
            if answers.kitty {
                (Protocol::Kitty, says("kitty's protocol"))
            } else if around.is_iterm || inline {
                (Protocol::Iterm, says("iTerm2's inline images"))
            } else if answers.sixel {
                (Protocol::Sixel, says("sixels"))
            } else if answers.complete {
                return none("the terminal shows no pictures that are known here");
            } else {
                return none("the terminal did not say what it can show");
            }
        }
    };
    let fits = protocol != Protocol::Sixel;
    let Some(cell) = answers.cell.or(fits.then_some(USUAL)) else {
        return none("the terminal does not say how many pixels a character has");
    };
    let colors = if protocol == Protocol::Sixel { answers.colors.unwrap_or(COLORS) } else { COLORS };
    Found { placing: Some(Placing { protocol, cell, colors: colors.clamp(8, COLORS) }), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XTERM: &[u8] = b"\x1bP>|XTerm(379)\x1b\\\x1b[6;13;6t\x1b[?1;0;16S\x1b[?63;1;2;4;6;9c";
    const KITTY: &[u8] = b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\\x1b[6;36;18t\x1b[?62;c";

    fn around(between: Between) -> Surroundings {
        Surroundings { between, is_iterm: false, can_be_asked: true }
    }

    #[test]
    fn answers_are_read_and_what_was_typed_meanwhile_is_kept() {
        let answers = Answers::read(XTERM);
        assert_eq!((answers.kitty, answers.sixel, answers.complete), (false, true, true));
        assert_eq!((&*answers.name, answers.colors), ("XTerm(379)", Some(16)));
        assert_eq!(answers.cell, CellSize::new(6, 13));
        let answers = Answers::read(KITTY);
        assert_eq!((answers.kitty, answers.sixel, answers.colors), (true, false, None));

        let typed = b"j\x1b[A\xc3\xa4\x1bOB";
        for cut in 0..=XTERM.len() {
            // Keys never arrive within an answer, only between two.
            if is_start(cut) {
                let bytes = [&XTERM[..cut], typed, &XTERM[cut..]].concat();
                assert_eq!(
                    Answers::read(&bytes),
                    Answers { typed: typed.to_vec(), ..Answers::read(XTERM) },
                    "{cut}"
                );
            }
        }
        for end in 0..XTERM.len() {
            let answers = Answers::read(&XTERM[..end]);
            assert!(!answers.complete);
            assert!(matches!(answers.typed[..], [] | [0x1b]), "{end}: {:?}", answers.typed);
            assert_eq!(answers.typed.is_empty() && answers.begun.is_empty(), end == 0 || is_start(end));
        }
        for answer in ["\x1b_Gi=31;ENOTSUPPORTED\x1b\\", "\x1b_Gi=3;OK\x1b\\", "\x1b[6;0;0t", "\x1b[?1;3;0S"]
        {
            let answers = Answers::read(answer.as_bytes());
            assert_eq!(answers, Answers::default(), "{answer:?}");
        }
    }

    fn is_start(cut: usize) -> bool {
        let mut rest = XTERM;
        while let Some((_, after)) = next(rest) {
            if XTERM.len() - rest.len() == cut {
                return true;
            }
            rest = after;
        }
        false
    }

    #[test]
    fn the_best_that_the_terminal_takes_is_used() {
        let plain = around(Between::Nothing);
        let protocol = |choice, around: &Surroundings, answers: &[u8]| {
            decide(choice, around, &Answers::read(answers)).placing.map(|p| p.protocol)
        };
        assert_eq!(protocol(Choice::Auto, &plain, XTERM), Some(Protocol::Sixel));
        assert_eq!(protocol(Choice::Auto, &plain, KITTY), Some(Protocol::Kitty));
        assert_eq!(protocol(Choice::None, &plain, KITTY), None);
        assert_eq!(protocol(Choice::Sixel, &plain, KITTY), Some(Protocol::Sixel));
        assert_eq!(protocol(Choice::Auto, &plain, b"\x1b[?1;2c"), None);
        assert_eq!(protocol(Choice::Auto, &plain, b""), None);
        assert_eq!(
            protocol(Choice::Auto, &plain, b"\x1bP>|iTerm2 3.4\x1b\\\x1b[?62;4c"),
            Some(Protocol::Iterm)
        );
        // Sixels are as large as their pixels: without a size there is no place for them.
        assert_eq!(protocol(Choice::Auto, &plain, b"\x1b[?62;4c"), None);
        assert_eq!(protocol(Choice::Kitty, &plain, b""), Some(Protocol::Kitty));
        let found = decide(Choice::Auto, &plain, &Answers::read(XTERM));
        assert_eq!(found.placing.map(|p| p.colors), Some(16));
        assert_eq!(found.why, "XTerm(379) takes sixels");
    }

    #[test]
    fn multiplexers_get_pictures_only_where_they_let_them_through() {
        let through = around(Between::Tmux(Ok(())));
        let not = around(Between::Tmux(Err("no".to_owned())));
        let answers = Answers::read(XTERM);
        let of = |around: &Surroundings| decide(Choice::Auto, around, &answers).placing.map(|p| p.protocol);
        assert_eq!(of(&through), Some(Protocol::KittyText));
        assert_eq!(of(&not), None);
        assert_eq!(of(&around(Between::Screen)), None);
        let asked = decide(Choice::Kitty, &not, &answers).placing.map(|p| p.protocol);
        assert_eq!(asked, Some(Protocol::KittyText));
    }
}
