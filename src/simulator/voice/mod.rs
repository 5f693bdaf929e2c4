//! What a simulated call sounds like: two voices that speak in turn, no word of which can be understood.

mod sound;
mod speaker;

use std::collections::VecDeque;

use fastrand::Rng;

use sound::Sound;
use speaker::Speaker;

/// Samples a second: a telephone's.
pub(super) const RATE: u32 = 8_000;

/// How loud the loudest may be, of 1.
const LOUDEST: f32 = 0.7;

/// The noise of the line, of 1.
const LINE_NOISE: f32 = 0.001;

/// A conversation without end, sample by sample. The same seed gives the same conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    rng: Rng,
    speakers: [Speaker; 2],
    /// Who speaks.
    turn: usize,
    sounds: VecDeque<Sound>,
}

impl Conversation {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let speakers = [Speaker::low(&mut rng), Speaker::high(&mut rng)];
        Self {
            turn: rng.usize(0..2),
            rng,
            speakers,
            sounds: VecDeque::new(),
        }
    }

    /// Has the next one speak.
    fn speak(&mut self) {
        self.turn = 1 - self.turn;
        let speaker = &self.speakers[self.turn];
        for _ in 0..self.rng.u8(1..4) {
            speaker.phrase(&mut self.rng, &mut self.sounds);
        }
        self.sounds
            .push_back(Sound::pause(self.rng.f32().mul_add(0.5, 0.35)));
    }
}

impl Iterator for Conversation {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        let sample = loop {
            match self.sounds.front_mut() {
                Some(sound) => match sound.next(&mut self.rng) {
                    Some(sample) => break sample,
                    None => drop(self.sounds.pop_front()),
                },
                None => self.speak(),
            }
        };
        let noise = LINE_NOISE * (self.rng.f32() - 0.5);
        let limited = LOUDEST * (sample / LOUDEST).tanh() + noise;
        #[expect(clippy::cast_possible_truncation, reason = "below 1")]
        Some((limited * f32::from(i16::MAX)) as i16)
    }
}

#[cfg(test)]
mod tests;
