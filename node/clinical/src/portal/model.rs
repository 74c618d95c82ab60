//! What patients show to sign in. An address exists in the clear only within [`Phi`].

use jiff::civil::Date;
use node_access::body::Object;
use node_signin::NotSignedIn;
use node_signin::guessable;
use node_signin::hashing::{Hashing, PASSWORD_LEN_MIN, Password};
use node_signin::patient::read_code;
use residency_policy::{OrgId, Problem, ProblemKind};
use storage::Phi;

use crate::values::{BirthDate, Email, Fields, Wrong};

/// What a new password must be.
const PASSWORD: Wrong = Wrong {
    code: "format",
    detail: "expected 15 characters or more, and at most 256 bytes: a sentence is a good one",
};
// The text above says it in words.
const _: () = assert!(PASSWORD_LEN_MIN == 15);

/// Where a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// To a browser, in a cookie.
    Cookie,
    /// To a program, in the body.
    Body,
}

/// What somebody shows to sign in. What cannot be anybody's is `None`, and nobody's.
pub struct Shown {
    /// The organisation.
    pub org: Option<OrgId>,
    /// The address.
    pub address: Option<Phi<String>>,
    /// The password.
    pub password: Option<Password>,
    /// Where the session goes.
    pub handed: Handed,
}

/// With what somebody takes an invitation up.
pub struct Acceptance {
    /// The digest of the code; `None` where it can be none.
    pub code: Option<[u8; 32]>,
    /// The password that they choose.
    pub password: Password,
    /// When they were born, and the address that they choose.
    pub person: Phi<(BirthDate, Email)>,
}

/// A change of a password.
pub struct Changed {
    /// The one until now; `None` where it can be none.
    pub current: Option<Password>,
    /// The one from now on.
    pub new: Password,
}

/// The members of a sign-in that are no PHI.
pub const SIGN_IN: &[&str] = &["organisation", "password", "tokens"];
/// The members of an acceptance that are no PHI.
pub const ACCEPTANCE: &[&str] = &["code", "password"];

/// Reads the body of a sign-in in its two parts.
pub fn read_sign_in(open: &Object, guarded: Phi<Object>) -> Result<Shown, Problem> {
    let mut fields = Fields::default();
    let org = fields.take("/organisation", open.get("organisation"), |text| Ok(text.parse::<OrgId>().ok()));
    let password = fields.take("/password", open.get("password"), |text| Ok(Password::new(text)));
    let handed = fields.take_if_given("/tokens", open.get("tokens"), |text| match text {
        "cookies" => Ok(Handed::Cookie),
        "body" => Ok(Handed::Body),
        _ => Err(Wrong { code: "not-a-code", detail: "is cookies or body" }),
    });
    let address = guarded.try_map(|object| {
        object.only(&["email"])?;
        let address = fields.take("/email", object.get("email"), |text| Ok(Email::parse(text).ok()));
        fields.finish().map(|()| address.flatten().map(|address| address.normalised()))
    })?;
    Ok(Shown {
        org: org.flatten(),
        address: address.transpose(),
        password: password.flatten(),
        handed: handed.unwrap_or(Handed::Cookie),
    })
}

/// Reads the body of an acceptance in its two parts.
pub fn read_acceptance(open: &Object, guarded: Phi<Object>, today: Date) -> Result<Acceptance, Problem> {
    let mut fields = Fields::default();
    let code = fields.take("/code", open.get("code"), |text| Ok(read_code(text)));
    let password = fields.take("/password", open.get("password"), new_password);
    let person = guarded.try_map(|object| {
        object.only(&["birth_date", "email"])?;
        let born = fields.take("/birth_date", object.get("birth_date"), |text| BirthDate::parse(text, today));
        let address = fields.take("/email", object.get("email"), Email::parse);
        fields.finish()?;
        // What is missing was noted, so neither is ever wanting.
        born.zip(address).ok_or(Problem::new(ProblemKind::Invalid))
    })?;
    let password = password.ok_or(Problem::new(ProblemKind::Invalid))?;
    Ok(Acceptance { code: code.flatten(), password, person })
}

/// Reads the body of a change.
pub fn read_change(body: &Object) -> Result<Changed, Problem> {
    body.only(&["current_password", "new_password"])?;
    let mut fields = Fields::default();
    let current = fields
        .take("/current_password", body.get("current_password"), |text| Ok(Password::new(text)))
        .flatten();
    let new = fields.take("/new_password", body.get("new_password"), new_password);
    fields.finish()?;
    // What is missing was noted, so this is never wanting.
    Ok(Changed { current, new: new.ok_or(Problem::new(ProblemKind::Invalid))? })
}

fn new_password(text: &str) -> Result<Password, Wrong> {
    Password::new(text).filter(Password::is_long_enough).ok_or(PASSWORD)
}

/// Refuses a new password that is guessed soon by whoever knows the address that is shown beside it.
pub async fn not_guessed_soon(
    hashing: &Hashing,
    password: &Password,
    person: Phi<(BirthDate, Email)>,
) -> Result<Phi<(BirthDate, Email)>, NotSignedIn> {
    let password = password.clone();
    let judge = move || {
        person.try_map(|(born, address)| {
            let soon = guessable::soon(&password, &[address.as_str(), &born.normalised()]);
            if soon { Err(NotSignedIn::Guessable("/password")) } else { Ok((born, address)) }
        })
    };
    hashing.aside(judge).await?
}
