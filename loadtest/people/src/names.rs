//! The tables of names.

use std::sync::OnceLock;

use crate::draw::Draw;

struct Weighed {
    name: &'static str,
    weight: u32,
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

fn weighed(name: &'static str, weight: &str) -> Weighed {
    Weighed { name, weight: weight.parse().unwrap_or(1) }
}

/// A given name, as often as the sex at birth would have it; for other people from either list.
pub(crate) fn given(draw: &mut Draw, sex: &str) -> &'static str {
    static NAMES: OnceLock<[Vec<Weighed>; 2]> = OnceLock::new();
    let [female, male] = NAMES.get_or_init(|| {
        ["f", "m"].map(|sex| {
            rows(include_str!("../data/given_names.tsv"))
                .filter(|row| row[0] == sex)
                .map(|row| weighed(row[1], row[2]))
                .collect()
        })
    });
    let from = match sex {
        "female" => female,
        "male" => male,
        _ if draw.happens(500) => female,
        _ => male,
    };
    draw.weighed(from, |one| one.weight).name
}

/// A family name.
pub(crate) fn family(draw: &mut Draw) -> &'static str {
    static NAMES: OnceLock<Vec<Weighed>> = OnceLock::new();
    let from = NAMES.get_or_init(|| {
        rows(include_str!("../data/family_names.tsv")).map(|row| weighed(row[0], row[1])).collect()
    });
    draw.weighed(from, |one| one.weight).name
}

/// What somebody of this name is also called.
pub(crate) fn nickname(given: &str) -> Option<&'static str> {
    rows(include_str!("../data/nicknames.tsv")).find(|row| row[0] == given).map(|row| row[1])
}

/// A name in letters that an e-mail address takes, or `person` where it has none of them.
pub(crate) fn for_email(name: &str) -> String {
    let plain: String = name.chars().filter_map(ascii).take(12).collect();
    if plain.is_empty() { "person".to_owned() } else { plain }
}

fn ascii(c: char) -> Option<char> {
    match c {
        'a'..='z' => Some(c),
        'A'..='Z' => Some(c.to_ascii_lowercase()),
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'Å' | 'Á' | 'ầ' | 'ạ' | 'ả' => Some('a'),
        'ç' | 'Ç' | 'ć' | 'č' => Some('c'),
        'đ' | 'Đ' => Some('d'),
        'é' | 'è' | 'ê' | 'ë' | 'ễ' => Some('e'),
        'í' | 'ì' | 'î' | 'ï' => Some('i'),
        'ł' | 'Ł' => Some('l'),
        'ñ' | 'ń' => Some('n'),
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' | 'Ö' => Some('o'),
        'ř' => Some('r'),
        'ş' | 'Ş' | 'š' | 'ß' => Some('s'),
        'ú' | 'ù' | 'û' | 'ü' | 'ỳ' | 'ấ' | 'ư' => Some('u'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        for row in rows(include_str!("../data/given_names.tsv")) {
            assert!(matches!(row[0], "f" | "m") && row.len() == 3 && row[2].parse::<u32>().is_ok(), "{row:?}");
        }
        for row in rows(include_str!("../data/family_names.tsv")) {
            assert!(row.len() == 2 && row[1].parse::<u32>().is_ok(), "{row:?}");
        }
        let given: Vec<_> = rows(include_str!("../data/given_names.tsv")).map(|row| row[1]).collect();
        for row in rows(include_str!("../data/nicknames.tsv")) {
            assert!(row.len() == 2 && given.contains(&row[0]), "{row:?}");
        }
    }

    #[test]
    fn an_email_name_is_ascii() {
        assert_eq!(for_email("Núñez"), "nunez");
        assert_eq!(for_email("O'Brien"), "obrien");
        assert_eq!(for_email("محمد"), "person");
    }
}
