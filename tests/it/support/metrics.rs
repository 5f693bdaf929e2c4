//! Reading what `/metrics` says.

/// The sum of a metric's values that have all these labels, such as `actor="asterisk.main"`; 0 when there is none.
pub(crate) fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, of) = series.split_once('{').unwrap_or((series, ""));
        let wanted = found == name && labels.iter().all(|label| of.contains(label));
        wanted.then(|| value.parse::<f64>().expect("a number"))
    });
    values.fold(0.0, |sum, value| sum + value)
}
