//! A voice: how high it is, how fast, and what it says.

use std::collections::VecDeque;

use fastrand::Rng;

use super::sound::Sound;

/// The first three formants of vowels, in Hz, of a low voice: a, e, i, o, u and one in the middle.
const VOWELS: [[f32; 3]; 6] = [
    [720.0, 1_240.0, 2_450.0],
    [530.0, 1_840.0, 2_480.0],
    [290.0, 2_200.0, 2_950.0],
    [560.0, 880.0, 2_400.0],
    [320.0, 800.0, 2_250.0],
    [500.0, 1_480.0, 2_420.0],
];

/// One who speaks.
#[derive(Debug)]
pub(super) struct Speaker {
    /// The voice's pitch, in Hz.
    pitch: f32,
    /// By how much its formants are higher than a low voice's.
    throat: f32,
    /// How long its syllables are, of the usual.
    pace: f32,
}

impl Speaker {
    /// With a low voice.
    pub(super) fn low(rng: &mut Rng) -> Self {
        Self {
            pitch: rng.f32().mul_add(35.0, 95.0),
            throat: 1.0,
            pace: rng.f32().mul_add(0.2, 0.95),
        }
    }

    /// With a high voice.
    pub(super) fn high(rng: &mut Rng) -> Self {
        Self {
            pitch: rng.f32().mul_add(45.0, 185.0),
            throat: 1.16,
            pace: rng.f32().mul_add(0.2, 0.85),
        }
    }

    /// Says a phrase of some syllables: its pitch falls, or rises at the end as a question's does. A short pause
    /// follows.
    pub(super) fn phrase(&self, rng: &mut Rng, sounds: &mut VecDeque<Sound>) {
        let syllables = rng.u8(3..11);
        let question = rng.u8(0..4) == 0;
        for index in 0..syllables {
            let done = f32::from(index) / f32::from(syllables);
            let last = index + 1 == syllables;
            let from = self.pitch * (1.12 - 0.22 * done) * rng.f32().mul_add(0.12, 0.94);
            let to = from * if last && question { 1.35 } else { 0.92 };
            match rng.u8(0..5) {
                0 | 1 => sounds.push_back(Sound::hiss(self.seconds(rng, 0.05, 0.05), rng.f32())),
                2 | 3 => sounds.push_back(Sound::pause(self.seconds(rng, 0.03, 0.04))),
                _ => {}
            }
            let vowel = VOWELS[rng.usize(0..VOWELS.len())].map(|formant| formant * self.throat);
            let longer = if last { 1.5 } else { 1.0 };
            let seconds = longer * self.seconds(rng, 0.10, 0.11);
            let loud = (1.0 - 0.35 * done) * rng.f32().mul_add(0.4, 0.7);
            sounds.push_back(Sound::vowel(seconds, [from, to], vowel, loud));
        }
        sounds.push_back(Sound::pause(self.seconds(rng, 0.18, 0.35)));
    }

    fn seconds(&self, rng: &mut Rng, least: f32, more: f32) -> f32 {
        self.pace * rng.f32().mul_add(more, least)
    }
}
