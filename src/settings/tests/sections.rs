//! The sections of integrations: their names, which is main, and what those of one node share.

use super::*;

#[test]
fn of_several_integrations_one_is_main() {
    let asterisk = |name: &str| {
        format!("[asterisk.{name}]\nhost='{name}'\nuser='u'\npassword='p'\ntrunk='t'\ncontext='c'\n")
    };
    let pac = |name: &str| format!("[pac.{name}]\naddress='a:1'\n");
    let one = Place::new().file("config/local.toml", &(asterisk("east") + &pac("office")));
    let settings = one.load().unwrap();
    assert_eq!(settings.default_asterisk().unwrap().0, "east");
    assert_eq!(settings.default_pac().unwrap().0, "office");
    let several = asterisk("east") + &asterisk("main") + &pac("office") + &pac("main");
    let settings = Place::new().file("config/local.toml", &several).load().unwrap();
    assert_eq!(settings.default_asterisk().unwrap().0, "main");
    assert_eq!(settings.default_pac().unwrap().0, "main");
    let none = asterisk("east") + &asterisk("west") + &pac("office") + &pac("shop");
    let errors = Place::new().file("config/local.toml", &none).errors();
    assert!(errors[0].starts_with("asterisk: one of several must be named main"));
    assert!(errors[1].starts_with("pac: one of several must be named main"));
}

#[test]
fn sections_of_one_node_agree_on_what_they_share() {
    let section = |name: &str, host: &str, own: &str| {
        format!(
            "[asterisk.{name}]\nhost='{host}'\nuser='{name}'\npassword='p'\ntrunk='t'\ncontext='c'\n{own}\n"
        )
    };
    let errors = |first: &str, second: &str, host: &str| {
        let text = section("branch", "PBX", first) + &section("main", host, second);
        let place = Place::new().file("config/local.toml", &text);
        place.load().err().map(|_| place.errors())
    };
    assert_eq!(errors("max_live_calls=5", "max_live_calls=5", "pbx"), None);
    assert_eq!(errors("max_live_calls=5", "max_live_calls=6", "elsewhere"), None);
    let table = [
        (
            "max_live_calls=5",
            "",
            "asterisk.main.max_live_calls: is 1000, must be as in asterisk.branch, which is 5",
        ),
        (
            "",
            "trunk_limits={calls_per_s=3}",
            "asterisk.main.trunk_limits: must be as in asterisk.branch",
        ),
        (
            "limits={in_flight=64}",
            "limits={in_flight=12}",
            "asterisk.main.limits.in_flight: is too much",
        ),
        (
            "app_prefix='main'",
            "",
            "asterisk.main.app_prefix: must differ from that of asterisk.branch",
        ),
    ];
    for (first, second, expected) in table {
        let errors = errors(first, second, "pbx").unwrap();
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
    }
    // Another trunk has limits of its own.
    assert_eq!(
        errors("trunk_limits={live_calls=1}\n", "", "pbx").map(|e| e.len()),
        Some(1)
    );
    let other = "[asterisk.branch]\nhost='pbx'\nuser='u'\npassword='p'\ntrunk='o'\ncontext='c'\n\
        trunk_limits={live_calls=1}\n";
    Place::new()
        .file(
            "config/local.toml",
            &(other.to_owned() + &section("main", "pbx", "")),
        )
        .load()
        .unwrap();
}

#[test]
fn sections_without_keys_mean_nothing_and_names_are_checked() {
    let text = "[pac.main]\naddress='a:1'\n[pac.main.collector]\n[asterisk]\n";
    Place::new().file("config/local.toml", text).load().unwrap();
    for text in [
        "[pac.main]\n",
        "[pac.Main]\naddress='a:1'\n",
        "[nothing]\n",
        "http = 1\n",
        "[http.port]\nx = 1\n",
    ] {
        assert_eq!(
            Place::new().file("config/local.toml", text).errors().len(),
            1,
            "{text}"
        );
    }
}
