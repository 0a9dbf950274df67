//! What the PC speaker plays: the level that port 61h and the timer's counter 2 give it, as samples of sound.
//!
//! Nothing of this is the guest's: a machine plays the same whether somebody listens or not.

use crate::pit8254::Pit;
use crate::port61::Port61;
use crate::time::{Nanos, SECOND};

/// Samples a second.
pub const RATE: u32 = 44_100;
/// Looks at the level for a sample: what beeps is above what a sample can tell, and folds down without them.
const LOOKS: u64 = 16;
/// A quarter of full scale: a square wave is loud.
const LEVEL: i32 = 0x2000;
/// Samples that wait to be taken, at most.
const MOST: usize = 10 * RATE as usize;

/// The ear at the speaker.
#[derive(Debug, Default)]
pub struct Speaker {
    /// Samples listened to since power-on.
    heard: u64,
    /// The highest level decays: a membrane does not stay out, and files have no constant part.
    rest: i32,
    samples: Vec<i16>,
}

impl Speaker {
    /// Starts to listen.
    pub fn new(now: Nanos) -> Speaker {
        Speaker { heard: index(now), ..Speaker::default() }
    }

    /// Listens up to `now`; before anything changes that the level depends on. A silence of more than ten
    /// seconds without a look is shortened to that.
    pub fn listen(&mut self, port: &Port61, pit: &mut Pit, now: Nanos) {
        let until = index(now);
        self.heard = self.heard.max(until.saturating_sub(MOST as u64));
        while self.heard < until {
            let sample = self.sample(port, pit);
            self.heard += 1;
            if self.samples.len() < MOST {
                self.samples.push(sample);
            }
        }
    }

    fn sample(&mut self, port: &Port61, pit: &mut Pit) -> i16 {
        let high = if port.is_on() {
            let looks = (0..LOOKS).filter(|n| port.speaker(pit, time(self.heard * LOOKS + n)));
            looks.count() as i32
        } else {
            0
        };
        let level = high * LEVEL / LOOKS as i32;
        self.rest += (level - self.rest) / 512;
        (level - self.rest) as i16
    }

    /// Takes what was heard: mono, signed, [`RATE`] samples a second.
    pub fn take(&mut self) -> Vec<i16> {
        std::mem::take(&mut self.samples)
    }
}

/// The samples up to a time.
fn index(now: Nanos) -> u64 {
    (u128::from(now) * u128::from(RATE) / u128::from(SECOND)) as u64
}

/// When a look is taken.
fn time(look: u64) -> Nanos {
    (u128::from(look) * u128::from(SECOND) / (u128::from(RATE) * u128::from(LOOKS))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pit8254::HZ;

    /// Counter 2 as a square wave of about so many hertz, and the speaker on.
    fn beep(hertz: u32) -> (Port61, Pit) {
        let (mut port, mut pit) = (Port61::new(), Pit::new());
        pit.write(3, 0xb6, 0);
        let divisor = HZ / hertz;
        pit.write(2, divisor as u8, 0);
        pit.write(2, (divisor >> 8) as u8, 0);
        port.write(3, &mut pit, 0);
        (port, pit)
    }

    #[test]
    fn a_square_wave_crosses_zero_twice_a_period() {
        let (port, mut pit) = beep(440);
        let mut speaker = Speaker::new(0);
        speaker.listen(&port, &mut pit, SECOND);
        let heard = speaker.take();
        assert_eq!(heard.len(), RATE as usize);
        let crossings = heard[4410..].windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
        assert!((790..=794).contains(&crossings), "{crossings} in 0.9 s of 440 Hz");
        assert!(speaker.take().is_empty());
    }

    #[test]
    fn what_cannot_be_heard_is_not() {
        let (port, mut pit) = beep(40_000);
        let mut speaker = Speaker::new(0);
        speaker.listen(&port, &mut pit, SECOND);
        let loudest = speaker.take()[4410..].iter().map(|s| s.unsigned_abs()).max();
        assert!(loudest < Some(LEVEL as u16 / 3), "{loudest:?}");
    }

    #[test]
    fn off_is_silent_and_long_gaps_are_bounded() {
        let (mut port, mut pit) = beep(440);
        port.write(1, &mut pit, 0);
        let mut speaker = Speaker::new(0);
        speaker.listen(&port, &mut pit, 3600 * SECOND);
        let heard = speaker.take();
        assert_eq!((heard.len(), heard.iter().any(|&s| s != 0)), (MOST, false));
    }
}
