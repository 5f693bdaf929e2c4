//! The configuration of one Asterisk, as an administrator would write it for a trunk to a 3CX.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use super::asterisk::{CONTEXT, TRUNK, USER};

/// What differs between two Asterisks.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) ari_port: u16,
    pub(super) sip_port: u16,
    /// The port of the far end, on loopback.
    pub(super) far_end_port: u16,
    pub(super) password: String,
}

/// Makes the folder `home` (a path inside `root`) with all that one Asterisk reads and writes.
pub(super) fn write(root: &Path, home: &str, settings: &Settings) {
    let folder = root.join(home.trim_start_matches('/'));
    fs::create_dir_all(folder.join("etc")).expect("a folder inside the Asterisk root");
    // Asterisk does not make `recording` itself: without it every record request fails with 500.
    let owner = owner(root);
    for name in ["cache", "db", "log", "run", "spool", "spool/recording"] {
        fs::create_dir(folder.join(name)).expect("a folder for Asterisk");
        chown(folder.join(name), Some(owner.0), Some(owner.1))
            .expect("a folder owned by asterisk: are you root?");
    }
    for (name, text) in files(home, settings) {
        fs::write(folder.join("etc").join(name), text).expect("a configuration file");
    }
}

/// The user and group `asterisk` of the root, which the host does not know.
fn owner(root: &Path) -> (u32, u32) {
    let users = fs::read_to_string(root.join("etc/passwd")).expect("etc/passwd of the Asterisk root");
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix("asterisk:x:"))
        .expect("a user asterisk");
    let mut ids = line.split(':').map(|id| id.parse().expect("a numeric id"));
    (ids.next().expect("a user id"), ids.next().expect("a group id"))
}

fn files(home: &str, settings: &Settings) -> [(&'static str, String); 7] {
    let Settings {
        ari_port,
        sip_port,
        far_end_port,
        password,
    } = settings;
    [
        (
            "asterisk.conf",
            format!(
                "[directories]\nastetcdir = {home}/etc\nastcachedir = {home}/cache\nastdbdir = {home}/db\n\
                 astkeydir = {home}/db\nastlogdir = {home}/log\nastrundir = {home}/run\nastspooldir = {home}/spool\n"
            ),
        ),
        // A module without its configuration declines to load: what is left starts in 0.4 s.
        ("modules.conf", "[modules]\nautoload = yes\n".to_owned()),
        (
            "logger.conf",
            "[logfiles]\nmessages = notice,warning,error\n".to_owned(),
        ),
        (
            "http.conf",
            format!("[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {ari_port}\n"),
        ),
        (
            "ari.conf",
            format!("[general]\nenabled = yes\n[{USER}]\ntype = user\npassword = {password}\n"),
        ),
        (
            "pjsip.conf",
            format!(
                "[udp]\ntype = transport\nprotocol = udp\nbind = 127.0.0.1:{sip_port}\n\
                 [{TRUNK}]\ntype = endpoint\ntransport = udp\naors = {TRUNK}\ncontext = {CONTEXT}\n\
                 disallow = all\nallow = ulaw\ndirect_media = no\nrtp_timeout = 0\n\
                 [{TRUNK}]\ntype = aor\ncontact = sip:127.0.0.1:{far_end_port}\nqualify_frequency = 0\n"
            ),
        ),
        (
            "extensions.conf",
            format!("[{CONTEXT}]\n{}{}", dial("_X."), dial("_+X.")),
        ),
    ]
}

/// Dials every number of `pattern` through the trunk. The first leg ends with the cause of the second.
fn dial(pattern: &str) -> String {
    format!("exten = {pattern},1,Dial(PJSIP/${{EXTEN}}@{TRUNK},30)\n same = n,Hangup(${{HANGUPCAUSE}})\n")
}
