//! Who calls when, and what happens.

use jiff::{SignedDuration, Timestamp};

use crate::simulator::firm::{OFFICE, SALES, SUPPORT, Team};
use crate::simulator::rows::{End, Kind, QueueEnd};

/// How long the morning lasts.
pub(super) const SPAN: SignedDuration = SignedDuration::from_hours(4);

/// A call that takes place.
#[derive(Debug)]
pub(super) struct Planned {
    minute: u16,
    second: u16,
    /// Which of the customers.
    pub(super) customer: usize,
    pub(super) kind: Kind,
}

impl Planned {
    /// When it begins.
    pub(super) fn at(&self, start: Timestamp) -> Timestamp {
        start + SignedDuration::from_secs(i64::from(self.minute) * 60 + i64::from(self.second))
    }
}

const fn call(minute: u16, second: u16, customer: usize, kind: Kind) -> Planned {
    Planned {
        minute,
        second,
        customer,
        kind,
    }
}

const fn queue(team: &'static Team, wait: u32, ends: QueueEnd) -> Kind {
    Kind::Queue {
        ivr: false,
        team,
        wait,
        ends,
    }
}

const fn ivr(team: &'static Team, wait: u32, ends: QueueEnd) -> Kind {
    Kind::Queue {
        ivr: true,
        team,
        wait,
        ends,
    }
}

const fn answered(by: &'static str, talk: u32) -> QueueEnd {
    QueueEnd::Answered { by, talk }
}

const fn blind(by: &'static str, talk: u32, to: &'static str, then: u32) -> QueueEnd {
    QueueEnd::Blind { by, talk, to, then }
}

const fn attended(by: &'static str, talk: u32, to: &'static str, then: u32) -> QueueEnd {
    QueueEnd::Attended { by, talk, to, then }
}

const fn forwarded(by: &'static str, talk: u32, answered_by: &'static str, then: u32) -> QueueEnd {
    QueueEnd::Forwarded {
        by,
        talk,
        to: "107",
        team: &OFFICE,
        answered_by,
        then,
    }
}

const fn office(rings: u32, answered_by: Option<&'static str>, talk: u32) -> Kind {
    Kind::Office {
        team: &OFFICE,
        rings,
        answered_by,
        talk,
    }
}

const fn direct(to: &'static str, rings: u32, talk: u32) -> Kind {
    Kind::Direct {
        to,
        rings,
        answers: true,
        talk,
    }
}

const fn voicemail(to: &'static str, message: u32) -> Kind {
    Kind::Direct {
        to,
        rings: 20,
        answers: false,
        talk: message,
    }
}

const fn outbound(from: &'static str, ends: End) -> Kind {
    Kind::Outbound { from, ends }
}

const fn internal(from: &'static str, to: &'static str, ends: End) -> Kind {
    Kind::Internal { from, to, ends }
}

const fn talks(talk: u32) -> End {
    End::Answered { talk }
}

/// The calls, in the order of their starts. The second is about a contract, and takes most of the morning.
pub(super) const CALLS: &[Planned] = &[
    call(0, 40, 0, office(6, Some("112"), 35)),
    call(2, 5, 4, queue(&SALES, 11, answered("104", 12_900))),
    call(3, 20, 1, queue(&SUPPORT, 8, answered("101", 190))),
    call(6, 0, 2, ivr(&SUPPORT, 14, blind("102", 45, "103", 150))),
    call(9, 30, 3, queue(&SUPPORT, 31, QueueEnd::Abandoned)),
    call(12, 10, 0, internal("112", "100", talks(25))),
    call(14, 45, 5, direct("105", 5, 95)),
    call(18, 0, 6, outbound("110", talks(240))),
    call(21, 15, 7, outbound("110", End::Busy)),
    call(22, 30, 7, outbound("110", talks(65))),
    call(26, 0, 1, queue(&SUPPORT, 19, attended("103", 70, "106", 210))),
    call(31, 40, 2, voicemail("107", 18)),
    call(36, 0, 3, ivr(&SALES, 9, answered("105", 320))),
    call(41, 20, 4, queue(&SUPPORT, 40, QueueEnd::Overflow { of: "101" })),
    call(45, 0, 5, queue(&SUPPORT, 6, forwarded("102", 55, "100", 120))),
    call(
        50,
        30,
        6,
        Kind::ClickToCall {
            from: "112",
            talk: 80,
        },
    ),
    call(55, 0, 7, outbound("101", End::NoAnswer)),
    call(58, 10, 0, queue(&SUPPORT, 4, answered("106", 410))),
    call(63, 45, 1, ivr(&SALES, 22, QueueEnd::Abandoned)),
    call(66, 0, 1, ivr(&SALES, 12, answered("110", 175))),
    call(71, 30, 2, internal("101", "108", End::NoAnswer)),
    call(74, 0, 3, office(25, None, 14)),
    call(78, 20, 4, queue(&SUPPORT, 10, blind("101", 30, "105", 260))),
    call(84, 0, 5, outbound("105", End::Failed)),
    call(86, 40, 5, outbound("105", talks(130))),
    call(92, 0, 6, queue(&SUPPORT, 16, answered("103", 95))),
    call(96, 30, 7, direct("100", 9, 600)),
    call(101, 0, 0, queue(&SALES, 7, attended("110", 40, "105", 330))),
    call(108, 15, 1, queue(&SUPPORT, 3, answered("102", 55))),
    call(112, 0, 2, queue(&SUPPORT, 52, QueueEnd::Abandoned)),
    call(114, 30, 2, queue(&SUPPORT, 5, answered("101", 280))),
    call(120, 0, 3, internal("103", "106", talks(75))),
    call(124, 40, 4, ivr(&SUPPORT, 13, answered("106", 145))),
    call(130, 0, 5, office(8, Some("100"), 110)),
    call(134, 20, 6, outbound("112", talks(48))),
    call(139, 0, 7, queue(&SALES, 15, blind("105", 60, "100", 85))),
    call(145, 30, 0, queue(&SUPPORT, 9, answered("103", 520))),
    call(152, 0, 1, voicemail("105", 26)),
    call(
        156,
        10,
        2,
        Kind::ClickToCall {
            from: "110",
            talk: 210,
        },
    ),
    call(161, 0, 3, queue(&SUPPORT, 21, answered("102", 70))),
    call(165, 30, 4, internal("100", "104", End::Busy)),
    call(169, 0, 5, queue(&SUPPORT, 11, forwarded("103", 35, "112", 90))),
    call(175, 45, 6, outbound("100", End::Busy)),
    call(180, 0, 7, queue(&SUPPORT, 7, answered("106", 240))),
    call(186, 20, 0, ivr(&SALES, 38, QueueEnd::Abandoned)),
    call(190, 0, 1, direct("103", 4, 185)),
    call(196, 30, 2, queue(&SUPPORT, 18, attended("101", 90, "100", 140))),
    call(203, 0, 3, outbound("110", talks(155))),
    call(208, 15, 4, queue(&SUPPORT, 12, answered("102", 330))),
    call(214, 0, 5, queue(&SALES, 5, answered("105", 60))),
    call(219, 30, 6, office(7, Some("112"), 42)),
    call(224, 0, 7, queue(&SUPPORT, 27, answered("106", 115))),
    call(229, 40, 0, internal("112", "101", talks(33))),
    call(233, 0, 1, queue(&SUPPORT, 24, QueueEnd::Abandoned)),
    call(235, 30, 2, queue(&SUPPORT, 6, answered("103", 130))),
];
