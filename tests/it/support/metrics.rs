//! Reading what `/metrics` says.

/// The sum of a metric's values that have all these labels, such as `actor="asterisk.main"`; none where there is
/// no such line.
pub(crate) fn sum(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, of) = series.split_once('{').unwrap_or((series, ""));
        let wanted = found == name && labels.iter().all(|label| of.contains(label));
        wanted.then(|| value.parse::<f64>().expect("a number"))
    });
    values.reduce(|sum, value| sum + value)
}
