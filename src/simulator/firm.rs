//! The small firm that the simulated 3CX belongs to: its people, its queues, and those who call it.

/// Somebody at the firm.
#[derive(Debug)]
struct Person {
    extension: &'static str,
    last: &'static str,
    first: &'static str,
}

const fn person(extension: &'static str, last: &'static str, first: &'static str) -> Person {
    Person {
        extension,
        last,
        first,
    }
}

const PEOPLE: [Person; 10] = [
    person("100", "Орлова", "Вера"),
    person("101", "Соколова", "Анна"),
    person("102", "Петров", "Игорь"),
    person("103", "O'Brien", "Liam"),
    person("104", "Кузнецова-Лебедева", "Мария"),
    person("105", "Müller", "Jürgen"),
    person("106", "Ли", "Вей"),
    person("107", "Громов", "Пётр Ильич"),
    person("110", "Smith", "Mary Ann"),
    person("112", "Ёлкина", "Софья"),
];

/// The last and the first name of who has an extension.
pub(super) fn name_of(extension: &str) -> (&str, &str) {
    let person = PEOPLE.iter().find(|person| person.extension == extension);
    person.map_or(("Оператор", extension), |person| {
        (person.last, person.first)
    })
}

/// A number of the PBX behind which several people are.
#[derive(Debug)]
pub(super) struct Team {
    pub(super) dn: &'static str,
    pub(super) name: &'static str,
    /// Their extensions, in the order in which they are called.
    pub(super) members: &'static [&'static str],
}

/// The queue of those who help.
pub(super) const SUPPORT: Team = Team {
    dn: "900",
    name: "support",
    members: &["101", "102", "103", "106"],
};

/// The queue of those who sell.
pub(super) const SALES: Team = Team {
    dn: "901",
    name: "sales",
    members: &["104", "105", "110"],
};

/// The ring group of the front office.
pub(super) const OFFICE: Team = Team {
    dn: "800",
    name: "office",
    members: &["112", "100"],
};

/// The number that the firm is called at.
pub(super) const NUMBER: &str = "+74950000100";

/// Somebody who calls the firm, or whom it calls.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) number: &'static str,
    pub(super) name: &'static str,
}

/// Its customers. The numbers are nobody's.
pub(super) const CUSTOMERS: [Customer; 8] = [
    customer("+79000001101", "ООО «Ромашка»"),
    customer("+79000001202", "Иванова Мария"),
    customer("+79000001303", "Волга-Транс, склад"),
    customer("+79000001404", ""),
    customer("+442079460123", "Baker & Sons"),
    customer("+79000001505", "O'Neill Shaq"),
    customer("+12025550142", "WIRELESS CALLER"),
    customer("+79000001606", "ИП Ким С. А."),
];

const fn customer(number: &'static str, name: &'static str) -> Customer {
    Customer { number, name }
}
