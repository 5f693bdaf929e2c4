//! A voice is no noise and no silence.

use super::*;

const SECONDS: usize = 40;

fn samples(seed: u64) -> Vec<i16> {
    let samples = SECONDS * usize::try_from(RATE).unwrap();
    Conversation::new(seed).take(samples).collect()
}

/// The level of each 20 ms, of 1.
fn levels(samples: &[i16]) -> Vec<f64> {
    let level = |frame: &[i16]| {
        let sum: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (sum / 160.0).sqrt() / f64::from(i16::MAX)
    };
    samples.chunks_exact(160).map(level).collect()
}

/// The pitch of 40 ms, in Hz, by autocorrelation; None where there is none.
fn pitch(frame: &[i16]) -> Option<f64> {
    let frame: Vec<f64> = frame.iter().map(|sample| f64::from(*sample)).collect();
    let alike = |lag: usize| -> f64 {
        let pairs = frame.iter().zip(&frame[lag..]);
        pairs.map(|(a, b)| a * b).sum()
    };
    let lags = 26..110;
    let best = lags.max_by(|a, b| alike(*a).total_cmp(&alike(*b)))?;
    (alike(best) > 0.6 * alike(0)).then(|| f64::from(RATE) / best as f64)
}

#[test]
fn the_same_seed_gives_the_same_conversation_and_another_another() {
    assert_eq!(samples(1), samples(1));
    assert_ne!(samples(1), samples(2));
}

#[test]
fn there_are_bursts_and_pauses_and_nothing_is_clipped() {
    for seed in 1..5 {
        let samples = samples(seed);
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((6_000..24_000).contains(&peak), "the peak is {peak}");
        let levels = levels(&samples);
        let share =
            |of: &dyn Fn(&f64) -> bool| levels.iter().filter(|level| of(level)).count() * 100 / levels.len();
        assert!((35..85).contains(&share(&|level| *level > 0.02)), "of speech");
        assert!((10..50).contains(&share(&|level| *level < 0.002)), "of pauses");
        // Syllables come three to eight times a second; each is a rise.
        let rises = levels.windows(2).filter(|pair| pair[0] < 0.03 && pair[1] >= 0.03);
        let rate = rises.count() as f64 / SECONDS as f64;
        assert!((1.5..9.0).contains(&rate), "{rate} bursts a second");
    }
}

#[test]
fn two_voices_speak_in_turn() {
    let samples = samples(3);
    let pitches: Vec<f64> = samples.chunks_exact(320).filter_map(pitch).collect();
    let low = pitches
        .iter()
        .filter(|pitch| (75.0..160.0).contains(*pitch))
        .count();
    let high = pitches
        .iter()
        .filter(|pitch| (165.0..310.0).contains(*pitch))
        .count();
    assert!(
        low > pitches.len() / 5 && high > pitches.len() / 5,
        "{low} and {high}"
    );
}
