//! Keys around the questions: what was typed before the answers came, and answers that come when keys are
//! already read. A slow line must not make keys of them.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// How long after the questions an answer may still come.
const LATEST: Duration = Duration::from_secs(5);
/// Longest answer, in characters.
const LONGEST: usize = 200;

/// Keeps answers that come late from being taken for keys.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    until: Instant,
    /// Characters of an answer that have been seen.
    inside: Option<usize>,
}

impl Late {
    /// Answers to questions that were asked just now may come.
    pub fn new(now: Instant) -> Self {
        Self { until: now + LATEST, inside: None }
    }

    /// Whether an event is the user's.
    pub fn is_users(&mut self, event: &Event, now: Instant) -> bool {
        if now > self.until {
            return true;
        }
        let &Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) = event else { return true };
        let alt = modifiers.contains(KeyModifiers::ALT);
        match (self.inside, c) {
            // `ESC P` and `ESC _` begin a string, `ESC \` ends it.
            (None, 'P' | '_') if alt => self.inside = Some(0),
            (None, _) => return true,
            (Some(_), '\\') if alt => self.inside = None,
            (Some(n), _) => self.inside = (n < LONGEST).then_some(n + 1),
        }
        false
    }
}

/// The keys in what was typed while nobody read keys.
pub fn keys(typed: &[u8]) -> Vec<KeyEvent> {
    let text = String::from_utf8_lossy(typed);
    let mut rest = &*text;
    let mut keys = Vec::new();
    while let Some(c) = rest.chars().next() {
        let known = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence));
        if let Some((sequence, code)) = known {
            keys.push((*code).into());
            rest = &rest[sequence.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        keys.push(match c {
            '\r' | '\n' => KeyCode::Enter.into(),
            '\t' => KeyCode::Tab.into(),
            '\x7f' | '\x08' => KeyCode::Backspace.into(),
            '\x1b' if rest.starts_with('[') => {
                // A sequence without a meaning here.
                let end = rest[1..].find(|c: char| ('@'..='~').contains(&c)).map_or(rest.len(), |at| at + 2);
                rest = &rest[end..];
                continue;
            }
            '\x1b' => KeyCode::Esc.into(),
            c @ '\x01'..='\x1a' => {
                KeyEvent::new(KeyCode::Char((c as u8 - 1 + b'a').into()), KeyModifiers::CONTROL)
            }
            c if c.is_control() || c == char::REPLACEMENT_CHARACTER => continue,
            c => KeyCode::Char(c).into(),
        });
    }
    keys
}

/// What keys send that have no character.
const SEQUENCES: [(&str, KeyCode); 14] = [
    ("\x1b[A", KeyCode::Up),
    ("\x1b[B", KeyCode::Down),
    ("\x1b[C", KeyCode::Right),
    ("\x1b[D", KeyCode::Left),
    ("\x1b[H", KeyCode::Home),
    ("\x1b[F", KeyCode::End),
    ("\x1b[5~", KeyCode::PageUp),
    ("\x1b[6~", KeyCode::PageDown),
    ("\x1bOA", KeyCode::Up),
    ("\x1bOB", KeyCode::Down),
    ("\x1bOC", KeyCode::Right),
    ("\x1bOD", KeyCode::Left),
    ("\x1bOH", KeyCode::Home),
    ("\x1bOF", KeyCode::End),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_becomes_keys() {
        let of = |codes: &[KeyCode]| codes.iter().map(|&code| code.into()).collect::<Vec<KeyEvent>>();
        assert_eq!(
            keys("jä\x1b[A\r\x1bOB".as_bytes()),
            of(&[KeyCode::Char('j'), KeyCode::Char('ä'), KeyCode::Up, KeyCode::Enter, KeyCode::Down])
        );
        assert_eq!(keys(b"\x1b"), of(&[KeyCode::Esc]));
        assert_eq!(keys(b"\x1b[<0;1;2Mq\xff"), of(&[KeyCode::Char('q')]));
        assert_eq!(keys(b"\x03"), [KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)]);
        assert_eq!(keys(b"\x1b["), []);
    }

    #[test]
    fn a_late_answer_is_not_typed() {
        let now = Instant::now();
        let event = |c: char, modifiers| Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers));
        let (alt, none) = (KeyModifiers::ALT, KeyModifiers::NONE);
        let mut late = Late::new(now);
        assert!(late.is_users(&event('q', none), now));
        let answer =
            [event('P', alt | KeyModifiers::SHIFT), event('>', none), event('q', none), event('\\', alt)];
        assert!(answer.iter().all(|event| !late.is_users(event, now)));
        assert!(late.is_users(&event('q', none), now));
        // An answer that never ends does not keep the keys.
        assert!(!late.is_users(&event('_', alt), now));
        assert!((0..2 * LONGEST).any(|_| late.is_users(&event('x', none), now)));
        let after = now + LATEST + Duration::from_millis(1);
        assert!(late.is_users(&event('P', alt), after));
    }
}
