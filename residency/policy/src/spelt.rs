//! What a type that is a checked text gets from its spelling.

/// Gives a type with `as_str` and `FromStr` the rest of a text: serde's conversions, and `Display`; and `Debug`, unless
/// the type says `without Debug` because its text is for nobody's log.
#[macro_export]
macro_rules! spelt {
    ($name:ident, $wrong:ident) => {
        $crate::spelt!($name, $wrong, without Debug);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
    ($name:ident, $wrong:ident, without Debug) => {
        impl TryFrom<String> for $name {
            type Error = $wrong;
            fn try_from(text: String) -> Result<Self, $wrong> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
