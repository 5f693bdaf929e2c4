//! A configuration that cannot be used stops the program, which says what is wrong with it and shows no secret.

use crate::support::program::run;

/// What no message may show.
const SECRET: &str = "s3cr3t-of-mine";

/// What is configured, and what must be said of it: the key, the value as far as it is shown, and what is allowed.
struct Case {
    variables: &'static [(&'static str, &'static str)],
    file: &'static str,
    said: &'static [&'static str],
}

const CASES: [Case; 13] = [
    Case {
        variables: &[("MEGE__HTTP__PROT", "3000")],
        file: "",
        said: &[
            "http.prot",
            "MEGE__HTTP__PROT in the environment",
            "there is no such key",
        ],
    },
    Case {
        variables: &[],
        file: "[http]\ncolour = 5\n[surprise]\na = 1\n",
        said: &[
            "http.colour",
            "surprise.a",
            "config/local.toml",
            "there is no such key",
        ],
    },
    Case {
        variables: &[("APP_PORT", "70000")],
        file: "",
        said: &[
            "http.port",
            "APP_PORT in the environment",
            "\"70000\"",
            "a whole number from 0 to 65535",
        ],
    },
    Case {
        variables: &[("MEGE__HTTP__TIMEOUT_MS", "-5")],
        file: "",
        said: &["http.timeout_ms", "\"-5\"", "a whole number from 100 to 600000"],
    },
    Case {
        variables: &[("MEGE__HTTP__ADDRESS", "localhost")],
        file: "",
        said: &["http.address", "\"localhost\"", "an IP address"],
    },
    Case {
        variables: &[],
        file: "[auth]\ntrust = [{ cidr = \"192.0.2.0/24\", keys = \"crm\" }]\n",
        said: &["auth.trust", "192.0.2.0/24", "CIDR=NAME"],
    },
    Case {
        variables: &[("API_PREFIX", "../etc")],
        file: "",
        said: &["http.prefix", "\"../etc\"", "letters, digits"],
    },
    Case {
        variables: &[("HTTP_OPTIONS", "https")],
        file: "",
        said: &["http.tls_certificate: is missing", "http.tls_key: is missing"],
    },
    Case {
        variables: &[("HTTP_OPTIONS", "h3")],
        file: "",
        said: &["http.scheme", "HTTP_OPTIONS", "\"h3\"", "must be http or https"],
    },
    Case {
        variables: &[("DATABASE_URL", "mysql://root:s3cr3t-of-mine@db/mege")],
        file: "",
        said: &["store.url", "sqlite:FILE or postgres://"],
    },
    Case {
        variables: &[
            ("ASTERISK_ARI_CALL_PASSWORD", "s3cr3t-of-mine"),
            ("ASTERISK_ARI_PORT", "ari"),
        ],
        file: "",
        said: &[
            "asterisk.main.port",
            "\"ari\"",
            "asterisk.main.host",
            "is missing",
            "asterisk.main.trunk",
        ],
    },
    Case {
        variables: &[("MEGE__ASTERISK__MAIN__PASWORD", "s3cr3t-of-mine")],
        file: "",
        said: &["asterisk.main.pasword", "there is no such key"],
    },
    Case {
        variables: &[],
        file: "[asterisk.main]\npassword = \"s3cr3t-of-mine\nhost = 5\n",
        said: &["config/local.toml", "is not TOML", "line 2"],
    },
];

#[actix_rt::test]
async fn what_is_wrong_is_named_and_nothing_starts() {
    for Case {
        variables,
        file,
        said,
    } in CASES
    {
        let variables: Vec<(&str, String)> = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        for command in ["serve", "check"] {
            let output = run(&[command], &variables, &[("config/local.toml", file)]).await;
            let errors = &output.errors;
            assert_eq!(output.code, Some(2), "{command} {variables:?}: {errors}");
            for words in said {
                assert!(errors.contains(words), "{words} is not in: {errors}");
            }
            let printed = &output.output;
            assert!(
                !errors.contains(SECRET) && !printed.contains(SECRET),
                "{errors}{printed}"
            );
        }
    }
}

#[actix_rt::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let variables = [
        ("APP_PORT", "x".to_owned()),
        ("PBX_EXTENSION_LENGTH", "99".to_owned()),
        ("MEGE__LOG__FORMAT", "xml".to_owned()),
    ];
    let output = run(&["check"], &variables, &[(".env", "MEGE__HTTP__COLOUR=red\n")]).await;
    let errors = &output.errors;
    assert_eq!(output.code, Some(2), "{errors}");
    for words in [
        "http.port",
        "pac.main.extension_length",
        "log.format",
        "http.colour",
        ".env",
    ] {
        assert!(errors.contains(words), "{words} is not in: {errors}");
    }
}
