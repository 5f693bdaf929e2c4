//! The alert rules and the dashboard in `deploy/` name only metrics and labels that the gateway has, and say what they mean.

#[cfg(feature = "peers")]
mod promtool;

use std::collections::BTreeSet;

use awc::http::Method;
use mege_gateway::actor::InjectedFault;
use mege_gateway::metric::{Kind, Metric, TABLE};
use serde_json::Value;

use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;

const RULES: &str = include_str!("../../deploy/prometheus/mege-gateway.rules.yml");
const CONFIG: &str = include_str!("../../deploy/prometheus/prometheus.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/mege-gateway.json");
const UNIT: &str = include_str!("../../deploy/mege-gateway.service");
const TELEMETRY: &str = include_str!("../../src/telemetry.rs");

/// Labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["job", "instance"];

/// What every process tells of itself, without labels, by Prometheus' own names.
const OF_THE_PROCESS: [&str; 8] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
];

/// The metric that a series of this name belongs to, with the labels that it has.
fn metric_of(series: &str) -> Option<BTreeSet<&'static str>> {
    if OF_THE_PROCESS.contains(&series) {
        return Some(BTreeSet::new());
    }
    let find = |name: &str, histogram: bool| {
        let metric = TABLE.iter().find(|metric| metric.name == name)?;
        let labels = || metric.labels.iter().copied().collect::<BTreeSet<_>>();
        ((metric.kind == Kind::Histogram) == histogram).then(labels)
    };
    if let Some(base) = series.strip_suffix("_bucket") {
        let mut labels = find(base, true)?;
        labels.insert("le");
        return Some(labels);
    }
    let base = series.strip_suffix("_sum").or(series.strip_suffix("_count"));
    base.and_then(|base| find(base, true))
        .or_else(|| find(series, false))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Each series that an expression names, with the labels of its matchers.
fn series(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, _) in expression
        .match_indices("mege_")
        .chain(expression.match_indices("process_"))
    {
        if expression[..at].ends_with(is_name) {
            continue;
        }
        let rest = &expression[at..];
        let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        let braces = rest[name.len()..]
            .strip_prefix('{')
            .map(|rest| rest.split('}').next().unwrap_or(rest));
        let matchers = braces.into_iter().flat_map(|matchers| matchers.split(','));
        let labels = matchers.filter_map(|matcher| matcher.split(['=', '!']).next());
        found.push((name, labels.map(str::trim).collect()));
    }
    found
}

/// The labels of each `by (…)` and `on (…)`.
fn grouped(expression: &str) -> impl Iterator<Item = &str> {
    ["by (", "on ("]
        .into_iter()
        .flat_map(|word| expression.split(word).skip(1))
        .filter_map(|rest| rest.split(')').next())
        .flat_map(|labels| labels.split(',').map(str::trim))
}

/// Every name in an expression exists; gives the labels that it can be shown by.
fn assert_sound(expression: &str) -> BTreeSet<&str> {
    let named = series(expression);
    let mut all: BTreeSet<&str> = ADDED.into();
    for (name, matched) in &named {
        let labels = metric_of(name).unwrap_or_else(|| panic!("there is no {name}: {expression}"));
        for label in matched {
            assert!(
                labels.contains(label) || ADDED.contains(label),
                "{name} has no {label}: {expression}"
            );
        }
        all.extend(labels);
    }
    for label in grouped(expression) {
        assert!(all.contains(label), "nothing has {label}: {expression}");
    }
    all
}

/// The rules' expressions: of each `expr:` to the next key of the rule.
fn rules() -> Vec<(&'static str, String)> {
    let rules = RULES.split("- alert: ").skip(1).map(|rule| {
        let (name, rest) = rule.split_once('\n').expect("a rule");
        let expression = rest.split("expr: ").nth(1).expect("an expression");
        let end = ["\n        for:", "\n        labels:"]
            .iter()
            .filter_map(|key| expression.find(key))
            .min();
        let expression = expression[..end.expect("labels")].trim_start_matches(">-");
        (name, expression.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    rules.collect()
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).expect("JSON")
}

/// The dashboard's panels that show something.
fn panels() -> Vec<Value> {
    let panels = dashboard()["panels"].take();
    let panels = panels.as_array().expect("panels").iter();
    panels.filter(|panel| panel["type"] != "row").cloned().collect()
}

/// What the panels ask for, each with how a line is called.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().expect("targets") {
            let text = |key: &str| target[key].as_str().expect("a text").to_owned();
            queries.push((text("expr"), text("legendFormat")));
        }
    }
    queries
}

#[test]
fn every_metric_and_label_of_the_alert_rules_exists() {
    let rules = rules();
    assert!(rules.len() > 15, "{rules:?}");
    for (name, expression) in &rules {
        // `up` is Prometheus' own.
        assert!(
            !series(expression).is_empty() || expression.starts_with("up{"),
            "{name}: {expression}"
        );
        assert_sound(expression);
    }
    let summaries = RULES.split("$labels.").skip(1);
    let labels = TABLE.iter().flat_map(|metric| metric.labels).copied();
    let known: BTreeSet<&str> = labels.chain(ADDED).collect();
    for label in summaries.map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default()) {
        assert!(known.contains(label), "{label}");
    }
}

#[test]
fn every_metric_and_label_of_the_dashboard_exists_and_each_metric_is_shown() {
    let mut shown = BTreeSet::new();
    for (expression, legend) in queries() {
        let labels = assert_sound(&expression);
        for label in legend
            .split("{{")
            .skip(1)
            .filter_map(|rest| rest.split("}}").next())
        {
            let by: Vec<&str> = grouped(&expression).collect();
            assert!(
                labels.contains(label) && (by.is_empty() || by.contains(&label)),
                "{legend}: {expression}"
            );
        }
        shown.extend(series(&expression).into_iter().map(|(name, _)| name.to_owned()));
    }
    for variable in dashboard()["templating"]["list"].as_array().expect("variables") {
        if let Some(definition) = variable["definition"].as_str() {
            let (metric, label) = series(definition)
                .pop()
                .map(|(name, _)| name)
                .zip(definition.split(", ").nth(1))
                .expect("a metric");
            let labels = metric_of(metric).expect("a metric");
            let label = label.trim_end_matches(')');
            assert!(labels.contains(label) || ADDED.contains(&label), "{definition}");
        }
    }
    for Metric { name, kind, .. } in TABLE {
        let series = match kind {
            Kind::Counter | Kind::Gauge => vec![(*name).to_owned()],
            Kind::Histogram => vec![format!("{name}_count"), format!("{name}_bucket")],
        };
        let mut series = series.iter();
        assert!(
            series.any(|series| shown.contains(series)),
            "no panel shows {name}"
        );
    }
    let mut ids = BTreeSet::new();
    for panel in panels() {
        assert!(ids.insert(panel["id"].as_u64()), "two panels have one id");
        assert!(panel["title"].is_string() && panel["description"].is_string());
    }
}

/// A quantile is guessed between two bounds: one that is compared with what is no bound may be off by their whole distance.
#[test]
fn what_a_quantile_is_compared_with_is_a_bound_of_the_histograms() {
    let bounds = TELEMETRY.split("const BUCKETS: ").nth(1);
    let bounds = bounds.and_then(|rest| rest.split("= [").nth(1)?.split(']').next());
    let bounds = bounds.expect("the bounds").split(',').map(str::trim);
    let bounds: Vec<f64> = bounds.filter_map(|bound| bound.parse().ok()).collect();
    assert!(bounds.len() > 10, "{bounds:?}");
    let rules = rules();
    let mut quantiles = rules
        .iter()
        .filter(|(_, expression)| expression.contains("histogram_quantile"))
        .peekable();
    assert!(quantiles.peek().is_some());
    for (name, expression) in quantiles {
        let threshold = expression.rsplit("> ").next().and_then(|text| text.parse().ok());
        let threshold: f64 = threshold.expect("a threshold");
        assert!(bounds.contains(&threshold), "{name}: {threshold}");
    }
}

#[test]
fn what_to_do_about_each_alert_stands_in_the_runbook() {
    let runbook = include_str!("../../docs/operate.md");
    let written: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("| `Mege")?.split('`').next())
        .collect();
    let alerts: BTreeSet<&str> = rules()
        .iter()
        .map(|(name, _)| name.trim_start_matches("Mege"))
        .collect();
    assert_eq!(written, alerts);
    for severity in RULES
        .split("{severity: ")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
    {
        assert!(["critical", "warning", "info"].contains(&severity), "{severity}");
    }
}

#[test]
fn the_example_of_a_configuration_fits_the_rules() {
    assert!(CONFIG.contains("job_name: mege-gateway\n") && RULES.contains(r#"up{job="mege-gateway"}"#));
    assert!(CONFIG.contains("- mege-gateway.rules.yml\n"));
    // Three quarters of what the unit allows.
    let most = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("MemoryMax="))
        .expect("a limit");
    assert_eq!(most, "1G");
    assert!(RULES.contains(&format!("> {}\n", 3 * (1_u64 << 30) / 4)));
}

#[actix_rt::test]
async fn what_is_rendered_has_the_names_and_labels_of_the_table() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    assert_eq!(app.make_call(102, 79_990_000_001).await.status, 200);
    app.integrations.pac["main"].inject(InjectedFault::Panic);
    app.send(Method::POST, "/v1/integrations/asterisk.main/pause", &[], "")
        .await;
    assert_eq!(app.make_call(102, 79_990_000_001).await.status, 503);
    let mut seen = BTreeSet::new();
    let mut counted = BTreeSet::new();
    eventually(
        "a panic, a look and a refusal in the metrics",
        LIMIT,
        async || {
            let rendered = app.send(Method::GET, "/metrics", &[], "").await.body;
            for line in rendered
                .lines()
                .filter(|line| !line.starts_with('#') && !line.is_empty())
            {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let known = metric_of(name).unwrap_or_else(|| panic!("{name} is not in the table"));
                let labels: BTreeSet<&str> = labels
                    .split("=\"")
                    .filter_map(|part| part.rsplit(['"', ',']).next())
                    .filter(|name| !name.is_empty() && *name != "}")
                    .collect();
                assert_eq!(labels, known, "{line}");
                seen.insert(name.to_owned());
                if value != "0" {
                    counted.insert(name.to_owned());
                }
            }
            let there = |name: &str| counted.contains(name).then_some(());
            there("mege_actor_panics_total")?;
            there("mege_shed_total")?;
            there("mege_cdr_looks_total")?;
            there("mege_http_seconds_bucket")?;
            there("process_resident_memory_bytes")
        },
    )
    .await;
    for name in OF_THE_PROCESS {
        assert!(seen.contains(name), "{name} is not rendered");
    }
    // What has not happened yet is there too, or nothing would see its first time.
    let rules = rules().into_iter().map(|(_, expression)| expression);
    for expression in rules.chain(queries().into_iter().map(|(expression, _)| expression)) {
        for counter in expression.split("increase(").skip(1) {
            let (name, _) = series(counter)[0];
            assert!(seen.contains(name), "{name} is not there before its first event");
        }
    }
    app.stop().await;
}
