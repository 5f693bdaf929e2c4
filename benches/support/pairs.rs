//! Interleaved pairs of runs, and what is said of them.

use std::str::FromStr;

/// How many pairs, and how many seconds each run of a pair takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) pairs: usize,
    pub(crate) seconds: u32,
}

impl Pace {
    /// Ten pairs of four seconds; `MEGE_BENCH_PAIRS` and `MEGE_BENCH_SECONDS` make a quick look of it, whose figures count for
    /// nothing.
    pub(crate) fn from_environment() -> Self {
        Self {
            pairs: variable("MEGE_BENCH_PAIRS", 10),
            seconds: variable("MEGE_BENCH_SECONDS", 4),
        }
    }
}

fn variable<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name} must be a whole number"))
}

/// Says how busy the machine is before a run: with more than 1 the figures do not count.
pub(crate) fn say_load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!("load average at the start: {load} (figures count below 1)");
}

/// Runs the one and the other in turn, changing who goes first from pair to pair.
pub(crate) fn interleaved(
    pairs: usize,
    mut one: impl FnMut() -> f64,
    mut other: impl FnMut() -> f64,
) -> Vec<(f64, f64)> {
    (0..pairs)
        .map(|pair| {
            if pair % 2 == 0 {
                let first = one();
                (first, other())
            } else {
                let second = other();
                (one(), second)
            }
        })
        .collect()
}

/// The median, the least and the greatest of some values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        assert!(count > 0, "there was a run");
        Self {
            median: f64::midpoint(values[(count - 1) / 2], values[count / 2]),
            least: values[0],
            greatest: values[count - 1],
        }
    }
}

/// What was measured of one promise.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) what: &'static str,
    pub(crate) seen: Spread,
    pub(crate) bar: Bar,
}

/// What the median has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Only said.
    None,
}

/// Prints the table that the benchmark is for.
pub(crate) fn print(verdicts: &[Verdict]) {
    println!(
        "\n{:<52} {:>8} {:>8} {:>8}   bar",
        "", "median", "least", "greatest"
    );
    for Verdict { what, seen, bar } in verdicts {
        let (bar, met) = match bar {
            Bar::AtLeast(bar) => (format!("at least {bar}: "), seen.median >= *bar),
            Bar::AtMost(bar) => (format!("at most {bar}: "), seen.median <= *bar),
            Bar::None => (String::new(), true),
        };
        let word = match (bar.is_empty(), met) {
            (true, _) => "",
            (false, true) => "met",
            (false, false) => "NOT MET",
        };
        println!(
            "{what:<52} {:>8.2} {:>8.2} {:>8.2}   {bar}{word}",
            seen.median, seen.least, seen.greatest
        );
    }
}
