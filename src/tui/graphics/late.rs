//! Keys around the questions: what was typed before the answers came, and answers that come when keys are
//! already read. A slow line must not make keys of them.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// How long after the questions an answer may still come.
const LATEST: Duration = Duration::from_secs(5);
/// Longest answer, in characters.
const LONGEST: usize = 200;

/// What an event is, once answers may come late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The user's.
    Users,
    /// Part of an answer.
    Part,
    /// The end of an answer; all of its bytes.
    Answer(Vec<u8>),
}

/// Keeps answers that come late from being taken for keys, and gathers them.
#[derive(Clone, Debug)]
pub struct Late {
    until: Instant,
    /// What has come of an answer.
    inside: Option<Vec<u8>>,
}

impl Late {
    /// Answers to questions that were asked just now may come; this has come of the first already.
    pub fn new(now: Instant, begun: &[u8]) -> Self {
        Self { until: now + LATEST, inside: (begun.len() > 1).then(|| begun.to_vec()) }
    }

    /// What an event is.
    pub fn hear(&mut self, event: &Event, now: Instant) -> Heard {
        let &Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) = event else {
            return Heard::Users;
        };
        if now > self.until {
            return Heard::Users;
        }
        let alt = modifiers.contains(KeyModifiers::ALT);
        let Some(mut seen) = self.inside.take() else {
            // `ESC P` and `ESC _` begin a string.
            if !(alt && matches!(c, 'P' | '_')) {
                return Heard::Users;
            }
            self.inside = Some(vec![0x1b, c as u8]);
            return Heard::Part;
        };
        if alt {
            seen.push(0x1b);
        }
        seen.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        // `ESC \` ends a string, a letter a sequence.
        let is_string = !seen.starts_with(b"\x1b[");
        let ends = if is_string { alt && c == '\\' } else { ('@'..='~').contains(&c) };
        if ends {
            return Heard::Answer(seen);
        }
        self.inside = (seen.len() < LONGEST).then_some(seen);
        Heard::Part
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
    fn a_late_answer_is_not_typed_and_not_lost() {
        let now = Instant::now();
        let event = |c: char, modifiers| Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers));
        let (alt, none) = (KeyModifiers::ALT, KeyModifiers::NONE);
        let mut late = Late::new(now, b"");
        assert_eq!(late.hear(&event('q', none), now), Heard::Users);
        for event in [event('P', alt | KeyModifiers::SHIFT), event('>', none), event('q', none)] {
            assert_eq!(late.hear(&event, now), Heard::Part);
        }
        assert_eq!(late.hear(&event('\\', alt), now), Heard::Answer(b"\x1bP>q\x1b\\".to_vec()));
        assert_eq!(late.hear(&event('q', none), now), Heard::Users);
        // An answer that never ends does not keep the keys.
        assert_eq!(late.hear(&event('_', alt), now), Heard::Part);
        assert!((0..2 * LONGEST).any(|_| late.hear(&event('x', none), now) == Heard::Users));
        let after = now + LATEST + Duration::from_millis(1);
        assert_eq!(late.hear(&event('P', alt), after), Heard::Users);
        // One that had begun.
        let mut late = Late::new(now, b"\x1b[?62");
        assert_eq!(late.hear(&event(';', none), now), Heard::Part);
        assert_eq!(late.hear(&event('c', none), now), Heard::Answer(b"\x1b[?62;c".to_vec()));
        assert_eq!(late.hear(&event('c', none), now), Heard::Users);
        assert_eq!(Late::new(now, b"\x1b").hear(&event('c', none), now), Heard::Users, "Esc is a key");
    }
}
