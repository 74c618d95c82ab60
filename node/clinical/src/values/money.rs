//! An amount of money.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Wrong;

/// A currency of ISO 4217 with how many decimals its minor unit has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Currency(&'static str, u8);

/// The currencies that payers and gateways of a clinic in the United States settle in, with their decimals in
/// ISO 4217. A currency with no line here is refused, because an amount with the wrong decimals is a wrong amount.
static CURRENCIES: [Currency; 16] = [
    Currency("USD", 2),
    Currency("CAD", 2),
    Currency("MXN", 2),
    Currency("EUR", 2),
    Currency("GBP", 2),
    Currency("CHF", 2),
    Currency("AUD", 2),
    Currency("NZD", 2),
    Currency("INR", 2),
    Currency("PHP", 2),
    Currency("NGN", 2),
    Currency("KES", 2),
    Currency("ZAR", 2),
    Currency("GHS", 2),
    Currency("JPY", 0),
    Currency("KWD", 3),
];

impl Currency {
    /// Reads a code.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        CURRENCIES
            .iter()
            .copied()
            .find(|currency| currency.0 == text)
            .ok_or(Wrong::new("not-a-currency", "expected an ISO 4217 code that is accepted here, such as USD"))
    }

    /// The code.
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// How many decimals an amount has.
    pub const fn decimals(self) -> u8 {
        self.1
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// A whole number of minor units: cents, not fractions of dollars. On the wire
/// `{"minor": 1250, "currency": "USD"}`; a fraction there is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount: a billion major units, far below where sums of an `i64` could overflow.
    pub const MINOR_MAX: i64 = 100_000_000_000;

    /// An amount of so many minor units.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, Wrong> {
        if minor.unsigned_abs() > Self::MINOR_MAX.unsigned_abs() {
            return Err(Wrong::new("too-large", "the amount is larger than is accepted"));
        }
        Ok(Self { minor, currency })
    }

    /// Reads an amount as people write it with its currency, such as `12.50 USD`, with exactly the decimals that
    /// the currency has.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const FORMAT: Wrong = Wrong::new("format", "expected an amount with its currency, such as 12.50 USD");
        let (amount, currency) = text.split_once(' ').ok_or(FORMAT)?;
        let currency = Currency::parse(currency)?;
        let (sign, unsigned) = amount.strip_prefix('-').map_or((1, amount), |rest| (-1, rest));
        let (whole, part) =
            unsigned.split_once('.').map_or((unsigned, None), |(whole, part)| (whole, Some(part)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let decimals = usize::from(currency.1);
        if !digits(whole) || part.map_or(decimals != 0, |p| !digits(p) || p.len() != decimals) {
            return Err(FORMAT);
        }
        let minor: i64 = format!("{whole}{}", part.unwrap_or_default())
            .parse()
            .map_err(|_| Wrong::new("too-large", "the amount is larger than is accepted"))?;
        Self::new(sign * minor, currency)
    }

    /// How many minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Of which currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum, if the currencies are the same and the sum is not too large.
    pub fn plus(self, other: Self) -> Result<Self, Wrong> {
        if self.currency != other.currency {
            return Err(Wrong::new("currency-differs", "amounts of two currencies have no sum"));
        }
        Self::new(self.minor + other.minor, self.currency)
    }
}

/// What somebody paid for care is PHI, so the amount is not printed.
impl std::fmt::Debug for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Money")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    minor: i64,
    currency: String,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { minor: self.minor, currency: self.currency.0.to_owned() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)
            .map_err(|_| D::Error::custom("expected whole minor units and a currency"))?;
        let currency = Currency::parse(&written.currency).map_err(D::Error::custom)?;
        Self::new(written.minor, currency).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_exactly_its_currencys_decimals() {
        for (text, minor) in [
            ("12.50 USD", 1250),
            ("-0.01 USD", -1),
            ("0.00 USD", 0),
            ("1250 JPY", 1250),
            ("1.005 KWD", 1005),
            ("1000000000.00 USD", Money::MINOR_MAX),
        ] {
            assert_eq!(Money::parse(text).map(Money::minor), Ok(minor), "{text}");
        }
        for (text, code) in [
            ("12.5 USD", "format"),
            ("12 USD", "format"),
            ("12.500 USD", "format"),
            ("12.50 JPY", "format"),
            (".50 USD", "format"),
            ("1e3 JPY", "format"),
            ("+1.00 USD", "format"),
            ("--1.00 USD", "format"),
            ("NaN USD", "format"),
            ("12.50", "format"),
            ("12.50 usd", "not-a-currency"),
            ("12.50 XXX", "not-a-currency"),
            ("1000000000.01 USD", "too-large"),
            ("99999999999999999999.00 USD", "too-large"),
        ] {
            assert_eq!(Money::parse(text).map_err(|w| w.code), Err(code), "{text}");
        }
    }

    #[test]
    fn on_the_wire_it_is_whole_minor_units() {
        let amount = Money::parse("12.50 USD").expect("an amount");
        let json = serde_json::to_string(&amount).expect("writes");
        assert_eq!(json, r#"{"minor":1250,"currency":"USD"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).ok(), Some(amount));
        for wrong in
            [r#"{"minor":12.5,"currency":"USD"}"#, r#"{"minor":"1","currency":"USD"}"#, r#"{"minor":1}"#]
        {
            assert!(serde_json::from_str::<Money>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sums_stay_in_their_currency_and_bounds() {
        let of = |text| Money::parse(text).expect("an amount");
        assert_eq!(of("1.25 USD").plus(of("2.50 USD")), Ok(of("3.75 USD")));
        assert_eq!(of("1.25 USD").plus(of("2.50 EUR")).map_err(|w| w.code), Err("currency-differs"));
        let most = Money::new(Money::MINOR_MAX, of("0.00 USD").currency()).expect("an amount");
        assert_eq!(most.plus(most).map_err(|w| w.code), Err("too-large"));
    }
}
