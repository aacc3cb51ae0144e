//! A limit to how many positions a second are computed.

use std::time::{Duration, Instant};

/// Longest pause between two positions: what is slower is a run that is paused.
const LONGEST: Duration = Duration::from_hours(1);

/// Lets one position through at a time.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    speed: Option<f32>,
    /// The position that was let through last, and when the next one is due.
    last: Option<(u32, Instant)>,
}

impl Tempo {
    /// Positions a second at most.
    pub fn speed(&self) -> Option<f32> {
        self.speed
    }

    /// Sets the limit; false where it is no speed.
    pub fn set(&mut self, speed: Option<f32>) -> bool {
        let good = speed.is_none_or(|speed| speed > 0.0 && speed.is_finite());
        if good {
            (self.speed, self.last) = (speed, None);
        }
        good
    }

    /// Whether `position` may be begun at `now`. The other side may begin it, too, then.
    pub fn lets(&mut self, position: u32, now: Instant) -> bool {
        let Some(speed) = self.speed else { return true };
        if let Some((last, due)) = self.last
            && position > last
            && now < due
        {
            return false;
        }
        if self.last.is_none_or(|(last, _)| position != last) {
            let pause = Duration::try_from_secs_f64(1.0 / f64::from(speed)).unwrap_or(LONGEST);
            self.last = Some((position, now + pause.min(LONGEST)));
        }
        true
    }

    /// How long until the next position is due.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let (_, due) = self.last?;
        due.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_keep_their_distance_and_both_sides_share_one() {
        let (mut tempo, start) = (Tempo::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert!(tempo.lets(0, at(0)) && tempo.lets(1, at(0)), "no limit");
        assert!(tempo.set(Some(2.0)));
        assert!(tempo.lets(4, at(0)) && tempo.lets(4, at(1)), "both sides");
        assert!(!tempo.lets(5, at(499)));
        assert_eq!(tempo.wait(at(400)), Some(Duration::from_millis(100)));
        assert!(tempo.lets(5, at(500)) && !tempo.lets(6, at(501)));
        assert_eq!(tempo.wait(at(1001)), None);
        assert!(tempo.lets(2, at(502)), "gone back");
        assert!(!tempo.lets(3, at(503)));
        assert!(tempo.set(Some(1e-30)) && tempo.lets(9, at(503)));
        assert_eq!(tempo.wait(at(503)), Some(LONGEST));
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(!tempo.set(Some(wrong)));
        }
        assert!(tempo.set(None) && tempo.lets(10, at(504)) && tempo.lets(11, at(504)));
    }
}
