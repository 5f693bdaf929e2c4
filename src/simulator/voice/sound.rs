//! The sounds of speech: a source, shaped by the throat.

use std::f32::consts::PI;

use fastrand::Rng;

use super::RATE;

#[expect(clippy::cast_precision_loss, reason = "exact")]
const HZ: f32 = RATE as f32;

/// How wide formants are, in Hz, and how loud.
const WIDTHS: [f32; 3] = [80.0, 110.0, 170.0];
const GAINS: [f32; 3] = [1.0, 0.55, 0.28];

/// How long a sound takes to come and to go, in seconds.
const RISES: f32 = 0.02;
const FALLS: f32 = 0.045;

/// What is heard for a moment.
#[derive(Debug)]
pub(super) struct Sound {
    source: Source,
    throat: [Resonator; 3],
    loud: f32,
    /// In samples.
    length: f32,
    at: f32,
}

#[derive(Debug)]
enum Source {
    /// Vocal cords: their pitch at the beginning and the end, and where in their period they are, of 1.
    Cords {
        pitch: [f32; 2],
        phase: f32,
    },
    Breath,
    Silence,
}

impl Sound {
    pub(super) fn pause(seconds: f32) -> Self {
        Self::new(seconds, Source::Silence, [500.0; 3], 0.0)
    }

    /// A vowel with these formants.
    pub(super) fn vowel(seconds: f32, pitch: [f32; 2], formants: [f32; 3], loud: f32) -> Self {
        let source = Source::Cords { pitch, phase: 0.0 };
        Self::new(seconds, source, formants, 0.62 * loud)
    }

    /// A consonant of breath: from `sharpness` 0, as in "sh", to 1, as in "s".
    pub(super) fn hiss(seconds: f32, sharpness: f32) -> Self {
        let middle = sharpness.mul_add(1_000.0, 2_200.0);
        Self::new(seconds, Source::Breath, [middle, middle * 1.1, 1_400.0], 0.2)
    }

    fn new(seconds: f32, source: Source, formants: [f32; 3], loud: f32) -> Self {
        let mut throat = [Resonator::default(); 3];
        for ((resonator, formant), (width, gain)) in
            throat.iter_mut().zip(formants).zip(WIDTHS.into_iter().zip(GAINS))
        {
            *resonator = Resonator::new(formant, width, gain);
        }
        Self {
            source,
            throat,
            loud,
            length: (seconds * HZ).max(1.0),
            at: 0.0,
        }
    }

    /// The next sample, of 1; None when the sound is over.
    pub(super) fn next(&mut self, rng: &mut Rng) -> Option<f32> {
        if self.at >= self.length {
            return None;
        }
        let source = match &mut self.source {
            Source::Cords {
                pitch: [from, to],
                phase,
            } => {
                let now = *from + (*to - *from) * self.at / self.length;
                *phase += now / HZ;
                *phase -= phase.floor();
                // They open slowly and close at once.
                1.0 - 2.0 * *phase
            }
            Source::Breath => 2.0 * rng.f32() - 1.0,
            Source::Silence => 0.0,
        };
        let level = self.loud * self.envelope();
        self.at += 1.0;
        let heard: f32 = self.throat.iter_mut().map(|part| part.next(source)).sum();
        Some(heard * level)
    }

    /// How far the sound has come or gone, of 1.
    fn envelope(&self) -> f32 {
        let ramp = |samples: f32, seconds: f32| {
            let share = (samples / (seconds * HZ)).min(1.0);
            0.5 - 0.5 * (PI * share).cos()
        };
        ramp(self.at, RISES) * ramp(self.length - self.at, FALLS)
    }
}

/// A resonance: a recursive filter of the second order, as loud at its middle as it came.
#[derive(Debug, Clone, Copy, Default)]
struct Resonator {
    input: f32,
    feedback: [f32; 2],
    before: [f32; 2],
}

impl Resonator {
    fn new(middle: f32, width: f32, gain: f32) -> Self {
        let radius = (-PI * width / HZ).exp();
        let turn = 2.0 * PI * middle.min(0.48 * HZ) / HZ;
        let feedback = [2.0 * radius * turn.cos(), -radius * radius];
        let input =
            gain * (1.0 - radius) * (1.0 - 2.0 * radius * (2.0 * turn).cos() + radius * radius).sqrt();
        Self {
            input,
            feedback,
            before: [0.0; 2],
        }
    }

    fn next(&mut self, sample: f32) -> f32 {
        let [once, twice] = self.before;
        let heard = self.input * sample + self.feedback[0] * once + self.feedback[1] * twice;
        self.before = [heard, once];
        heard
    }
}
