//! People whose data are hard to handle, and who are all real enough to be accepted.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use residency_policy::Jurisdiction;

use crate::person::{Address, Note, Person};
use crate::place::places;

/// One of each. Text is in normalisation form C, so that what is read back is what was sent.
pub fn edge_cases(jurisdiction: Jurisdiction, today: Date) -> Vec<Person> {
    let base = base(jurisdiction);
    let mut all = Vec::new();
    let mut add = |what: &'static str, change: &dyn Fn(&mut Person)| {
        let mut person = base.clone();
        change(&mut person);
        let number = all.len() + 1;
        if person.email.is_empty() {
            person.email = format!("edge.{}.{number}@example.com", jurisdiction.postal().to_ascii_lowercase());
        }
        person.note = Note::Edge(what);
        all.push(person);
    };
    names(&mut add);
    days(&mut add, today);
    addresses(&mut add, jurisdiction);
    add("the longest e-mail address", &|p| {
        // 64 before the @ and labels of at most 63 after it: 254 in all (RFC 5321 section 4.5.3.1).
        let local = format!("edge.{}.{}", jurisdiction.postal().to_ascii_lowercase(), "x".repeat(56));
        let host = format!("{0}.{0}.{1}.example.com", "y".repeat(63), "z".repeat(49));
        p.email = format!("{local}@{host}");
    });
    for sex in ["other", "unknown"] {
        add("a sex that is neither female nor male", &|p| p.sex = sex);
    }
    all
}

fn base(jurisdiction: Jurisdiction) -> Person {
    let place = &places(jurisdiction)[0];
    Person {
        given_name: "Edgar".to_owned(),
        family_name: "Case".to_owned(),
        birth_date: date(1980, 6, 15),
        sex: "female",
        email: String::new(),
        phone: format!("+1{}5550142", place.area_codes[0]),
        address: Address {
            line: vec!["1 SAMPLE ST".to_owned()],
            city: place.city.to_owned(),
            state: jurisdiction.postal().to_owned(),
            postal_code: place.postal_code.to_owned(),
        },
        time_zone: place.time_zone,
        near_duplicate_of: None,
        twin_of: None,
        note: Note::Ordinary,
    }
}

type Add<'a> = &'a mut dyn FnMut(&'static str, &dyn Fn(&mut Person));

fn names(add: Add<'_>) {
    for (what, given, family) in [
        ("an apostrophe", "Shaun", "O'Malley"),
        ("a typographic apostrophe", "Shaun", "O\u{2019}Malley"),
        ("an okina", "Ka\u{2BB}iulani", "Kealoha"),
        ("a hyphen", "Anne-Marie", "Smith-Jones"),
        ("accents", "José María", "Núñez Yáñez"),
        ("stacked accents", "Thị Hương", "Nguyễn"),
        ("letters beyond Latin 1", "Łukasz", "Wójcik"),
        ("a letter that becomes two in capitals", "Jürgen", "Groß"),
        ("a dotless i", "Işıl", "Yıldız"),
        ("Arabic, right to left", "محمد", "عبد الله"),
        ("Hebrew, right to left", "נועה", "בן־דוד"),
        ("both directions", "محمد (Mo)", "Haddad"),
        ("Chinese", "秀英", "王"),
        ("Japanese", "さくら", "髙橋"),
        ("Korean", "지우", "김"),
        ("Devanagari", "प्रिया", "शर्मा"),
        ("Cyrillic", "Олена", "Петренко"),
        ("Greek with a final sigma", "Γιώργος", "Παπαδόπουλος"),
        ("a character outside the basic plane", "\u{20BB7}美", "\u{20BB7}田"),
        ("one letter", "X", "Y"),
        ("no given name, written as people do", "LNU", "FNU"),
        ("particles and blanks", "Maria", "de la Cruz y Ortega"),
        ("a suffix", "Martin", "King Jr."),
        ("digits", "X Æ A-12", "Musk-Case"),
        ("a word that means nothing to a program", "Null", "Undefined"),
        ("a word that is true", "True", "NaN"),
        ("SQL", "Robert'); DROP TABLE patients;--", "Tables"),
        ("markup", "<b>Bold</b>", "<script>alert(1)</script>"),
        ("a template", "{{7*7}}", "${jndi:ldap://example.com/a}"),
        ("a formula", "=1+1", "@SUM(A1)"),
        ("a percent sign and a backslash", "100%", "C:\\Case"),
        ("quotes", "\"Q\"", "'Q'"),
    ] {
        add(what, &|p| {
            given.clone_into(&mut p.given_name);
            family.clone_into(&mut p.family_name);
        });
    }
    add("60 characters", &|p| {
        p.family_name = "Wolfeschlegelsteinhausenbergerdorff".chars().cycle().take(60).collect();
    });
    add("100 characters", &|p| {
        p.given_name = "é".repeat(100);
        p.family_name = "漢".repeat(100);
    });
}

fn days(add: Add<'_>, today: Date) {
    add("born today", &|p| p.birth_date = today);
    add("a hundred today", &|p| p.birth_date = today.saturating_sub(100.years()));
    add("18 today", &|p| p.birth_date = today.saturating_sub(18.years()));
    add("18 tomorrow", &|p| p.birth_date = today.saturating_sub(18.years()).saturating_add(1.day()));
    add("a minor", &|p| p.birth_date = today.saturating_sub(13.years()));
    add("older than anybody alive is likely to be", &|p| p.birth_date = date(1912, 2, 3));
    add("born on a leap day", &|p| p.birth_date = date(2000, 2, 29));
    add("born on a night when clocks were changed", &|p| p.birth_date = date(2007, 3, 11));
    add("born before the epoch of Unix", &|p| p.birth_date = date(1969, 12, 31));
    add("born on the epoch of Unix", &|p| p.birth_date = date(1970, 1, 1));
}

fn addresses(add: Add<'_>, jurisdiction: Jurisdiction) {
    let put = |p: &mut Person, line: &[&str], city: &str, state: &str, postal_code: &str| {
        p.address = Address {
            line: line.iter().map(|&text| text.to_owned()).collect(),
            city: city.to_owned(),
            state: state.to_owned(),
            postal_code: postal_code.to_owned(),
        };
    };
    add("a post office box", &|p| p.address.line = vec!["PO BOX 555".to_owned()]);
    add("a rural route", &|p| p.address.line = vec!["RR 2 BOX 152".to_owned()]);
    add("general delivery", &|p| p.address.line = vec!["GENERAL DELIVERY".to_owned()]);
    add("four lines", &|p| {
        p.address.line = ["C/O SAMPLE", "SAMPLE BLDG", "1 SAMPLE ST", "APT ½ #4"].map(str::to_owned).to_vec();
    });
    add("100 characters in a line", &|p| p.address.line = vec!["1 SAMPLE ".repeat(12)[..100].to_owned()]);
    add("nine digits of ZIP Code", &|p| p.address.postal_code.push_str("-0001"));
    add("a military address in Europe", &|p| put(p, &["PSC 1234 BOX 5678"], "APO", "AE", "09001"));
    add("a military address in the Pacific", &|p| put(p, &["UNIT 45013 BOX 2666"], "FPO", "AP", "96338"));
    add("an urbanization in Puerto Rico", &|p| {
        put(p, &["URB SAMPLE", "1 CALLE MUESTRA"], "San Juan", "PR", "00926-0001");
        p.phone = "+17875550142".into();
    });
    add("a town in Guam", &|p| put(p, &["1 SAMPLE ST"], "Hagåtña", "GU", "96910"));
    add("a leading zero in the ZIP Code", &|p| put(p, &["1 SAMPLE ST"], "Holtsville", "NY", "00501"));
    let elsewhere = if jurisdiction.postal() == "NV" { "AZ" } else { "NV" };
    let postal_code = if elsewhere == "AZ" { "85001" } else { "89101" };
    add("an address outside the home", &|p| put(p, &["1 SAMPLE ST"], "Sample City", elsewhere, postal_code));
    add("a telephone number abroad", &|p| p.phone = "+442079460142".into());
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_pack_has_one_of_each_in_every_jurisdiction() {
        let today = date(2026, 11, 22);
        for jurisdiction in Jurisdiction::all() {
            let all = edge_cases(jurisdiction, today);
            assert!(all.len() > 50, "{}", all.len());
            let emails: HashSet<_> = all.iter().map(|p| &p.email).collect();
            assert_eq!(emails.len(), all.len());
            assert!(all.iter().all(|p| p.email.len() <= 254 && p.birth_date <= today));
            assert!(all.iter().any(|p| p.email.len() == 254), "the longest address is the longest");
            assert!(all.iter().any(|p| p.address.state != jurisdiction.postal()));
            assert!(all.iter().any(|p| p.given_name.chars().count() == 100));
            assert!(all.iter().all(|p| p.family_name.chars().count() <= 100 && p.address.line.len() <= 4));
        }
    }
}
