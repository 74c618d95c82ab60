//! Words that a column and the wire have in common: each a constant of the program.

/// An enum of such words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The word in the database and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What a word means.
            pub fn read(text: &str) -> Option<Self> {
                [$(Self::$variant,)+].into_iter().find(|value| value.as_str() == text)
            }
        }
    };
}

pub(crate) use words;
