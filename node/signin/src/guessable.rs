//! New passwords that others guess soon (NIST SP 800-63B-4, section 3.1.1.2; OWASP ASVS 5.0, 6.1.2, 6.2.4, 6.2.11, 6.2.12).
//!
//! How many guesses one takes is zxcvbn's estimate: it knows the 30,000 most frequent passwords of those that were
//! breached, frequent words and names, and repetitions, sequences, keyboard walks and dates. Words that everybody connects
//! with an account help nobody: they are left out before the rest is judged. They are the product's name, and the words of
//! three characters or more of the login name, the organisation's name and the user's name.

use residency_control::signin::Account;
use zxcvbn::{Score, zxcvbn};

use crate::hashing::Password;
use crate::{Desk, NotSignedIn};

/// A part of a login name or of a name that is shorter is in too many words.
const WORD_LEN_MIN: usize = 3;
/// What a new password takes at least: more than 10^10 guesses.
const SCORE_MIN: Score = Score::Four;
/// It counts the ways to walk on a keyboard in 64 bits, which are enough for 27 turns (the keypad has five ways on from a
/// key). A password is judged in parts of so many characters, and takes as many guesses as its best part at least.
const PART_LEN: usize = 28;

/// Refuses a new password of this account that is guessed soon. `pointer` is where in the body it was.
pub(crate) async fn refuse(
    desk: &Desk,
    account: &Account,
    password: &Password,
    pointer: &'static str,
) -> Result<(), NotSignedIn> {
    let organisation = desk.directory.organisation(account.org);
    let user = desk.directory.user(account.user);
    let names = [
        Some(account.name.as_str()),
        organisation.as_ref().map(|organisation| organisation.name.as_str()),
        user.as_ref().map(|user| user.name.as_str()),
    ];
    let context = words(names.into_iter().flatten());
    let password = password.clone();
    let soon = desk.hashing.aside(move || is_guessed_soon(&password, &context)).await?;
    if soon { Err(NotSignedIn::Guessable(pointer)) } else { Ok(()) }
}

/// Whether a new password of somebody with these names is guessed soon. It takes its time: see [`crate::Hashing::aside`].
pub fn soon(password: &Password, names: &[&str]) -> bool {
    is_guessed_soon(password, &words(names.iter().copied()))
}

/// The words of the context, in lower case, the longest first.
fn words<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut words = vec!["domicile".to_owned()];
    for name in names {
        let name = name.to_lowercase();
        let parts = name.split(|c: char| !c.is_alphanumeric());
        words.extend(parts.filter(|part| part.chars().count() >= WORD_LEN_MIN).map(str::to_owned));
        words.push(name);
    }
    words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    words.dedup();
    words
}

fn is_guessed_soon(password: &Password, context: &[String]) -> bool {
    let whole = password.text().to_lowercase();
    let rest = context.iter().fold(whole, |rest, word| rest.replace(word.as_str(), ""));
    // It finds them reversed, too, and with digits in place of letters.
    let context: Vec<&str> = context.iter().map(String::as_str).collect();
    let rest: Vec<char> = rest.chars().collect();
    let mut parts = rest.chunks(PART_LEN).map(|part| part.iter().collect::<String>());
    parts.all(|part| zxcvbn(&part, &context).score() < SCORE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(text: &str) -> bool {
        let password = Password::new(text).expect("a password");
        assert!(password.is_long_enough(), "its length is not what is wrong with {text}");
        let names = ["robin.elm@clinic.example", "Elm Street Clinic", "Robin Sample"];
        !is_guessed_soon(&password, &words(names.into_iter()))
    }

    #[test]
    fn frequent_passwords_and_what_is_made_of_them_are_refused() {
        for wrong in [
            "passwordpassword",
            "Password123456!",
            "P@ssw0rdP@ssw0rd",
            "123456789012345",
            "qwertyuiopasdfgh",
            "1qaz2wsx3edc4rfv",
            "iloveyouforever",
            "unbelievable123",
            "thisismypassword",
            "changemechangeme",
        ] {
            assert!(!is_taken(wrong), "{wrong}");
        }
    }

    #[test]
    fn words_of_the_context_count_for_nothing() {
        for wrong in [
            "domicile domicile",
            "welcome to Domicile",
            "Domicile2026Robin",
            "robin.elm@clinic.example",
            "Elm Street Clinic!",
            "sample-robin-elm-street",
            "elmstreetclinic2026",
        ] {
            assert!(!is_taken(wrong), "{wrong}");
        }
        assert!(is_taken("Robin paints seven lamps"), "the rest is enough");
    }

    #[test]
    fn what_is_long_and_repeats_itself_is_refused_and_a_passphrase_is_taken() {
        for wrong in ["a".repeat(256), "x1".repeat(128), "abc".repeat(30), "12".repeat(128), " ".repeat(15)] {
            assert!(!is_taken(&wrong), "{wrong}");
        }
        for good in [
            "seven lamps over a quiet canal",
            "x8Kq2!vLm0Zr4#T",
            "1212121212121212121212121212 lamps over a quiet canal",
            "летний дождь над рекой",
        ] {
            assert!(is_taken(good), "{good}");
        }
    }

    #[test]
    fn short_parts_of_a_name_are_no_words_of_the_context() {
        assert_eq!(words(["al@elm.example"].into_iter()), ["al@elm.example", "domicile", "example", "elm"]);
    }
}
