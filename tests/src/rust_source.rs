//! Rust source as tokens: enough to tell a word in code from the same word in a comment or a string.

use std::path::{Path, PathBuf};

/// One token and the line it starts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword.
    Word(String),
    /// A string literal of any kind: what is between its quotes, escapes left as written.
    Text(String),
    /// A character or a number.
    Literal,
    /// Any other character.
    Mark(char),
}

impl Token {
    /// Whether this is the word.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(w) if w == word)
    }

    /// Whether this is the mark.
    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    /// The word, when it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// A file of Rust.
#[derive(Debug)]
pub struct Source {
    /// Where it is, from the root of the repository.
    pub path: PathBuf,
    /// As written.
    pub text: String,
    /// As read.
    pub tokens: Vec<Token>,
}

impl Source {
    /// Reads a text.
    pub fn new(path: &Path, text: String) -> Self {
        let tokens = tokens(&text);
        Self { path: path.to_owned(), text, tokens }
    }

    /// The path with forward slashes.
    pub fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// The tokens that are not under `#[cfg(test)]`.
    pub fn production(&self) -> Vec<Token> {
        let mut kept = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if words_at(&self.tokens, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
                at = item_end(&self.tokens, at + 7);
            } else {
                kept.push(self.tokens[at].clone());
                at += 1;
            }
        }
        kept
    }
}

/// Whether the tokens at `at` are these words and marks.
pub fn words_at(tokens: &[Token], at: usize, want: &[&str]) -> bool {
    want.iter().enumerate().all(|(i, want)| match tokens.get(at + i).map(|t| &t.kind) {
        Some(Kind::Word(word)) => word == want,
        Some(Kind::Mark(mark)) => want.len() == mark.len_utf8() && want.starts_with(*mark),
        _ => false,
    })
}

/// The index after the item that starts at `at`: after its block, or after its semicolon.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0i32;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark(closing @ ('}' | ')' | ']')) => {
                depth -= 1;
                if depth == 0 && closing == '}' {
                    return at + 1;
                }
            }
            Kind::Mark(';') if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The index after the bracket that closes the one at `open`.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0i32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark('}' | ')' | ']') => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Reads the tokens of a text. Comments are left out.
pub fn tokens(text: &str) -> Vec<Token> {
    Reader { rest: text.chars().collect(), at: 0, line: 1, found: Vec::new() }.read()
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn next(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        c
    }

    fn push(&mut self, line: usize, kind: Kind) {
        self.found.push(Token { line, kind });
    }

    fn read(mut self) -> Vec<Token> {
        while self.at < self.rest.len() {
            let (line, c) = (self.line, self.peek(0));
            if c.is_whitespace() {
                self.next();
            } else if c == '/' && self.peek(1) == '/' {
                while self.at < self.rest.len() && self.peek(0) != '\n' {
                    self.next();
                }
            } else if c == '/' && self.peek(1) == '*' {
                self.block_comment();
            } else if let Some(hashes) = self.raw_string() {
                self.read_raw(line, hashes);
            } else if c == '"' || (matches!(c, 'b' | 'c') && self.peek(1) == '"') {
                if c != '"' {
                    self.next();
                }
                self.read_string(line);
            } else if c == '\'' || (c == 'b' && self.peek(1) == '\'') {
                if c == 'b' {
                    self.next();
                }
                self.read_quote(line);
            } else if c.is_alphabetic() || c == '_' {
                let mut word = String::new();
                while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                    word.push(self.next());
                }
                self.push(line, Kind::Word(word));
            } else if c.is_ascii_digit() {
                while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                    self.next();
                }
                self.push(line, Kind::Literal);
            } else {
                self.next();
                self.push(line, Kind::Mark(c));
            }
        }
        self.found
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.next();
                    continue;
                }
            }
            self.next();
            self.next();
            if depth == 0 {
                return;
            }
        }
    }

    /// The number of hashes when a raw string starts here.
    fn raw_string(&self) -> Option<usize> {
        let start = match (self.peek(0), self.peek(1)) {
            ('r', _) => 1,
            ('b' | 'c', 'r') => 2,
            _ => return None,
        };
        let hashes = (start..self.rest.len()).take_while(|i| self.peek(*i) == '#').count();
        (self.peek(start + hashes) == '"').then_some(hashes)
    }

    fn read_raw(&mut self, line: usize, hashes: usize) {
        while self.next() != '"' {}
        let mut text = String::new();
        while self.at < self.rest.len() {
            let c = self.next();
            if c == '"' && (0..hashes).all(|i| self.peek(i) == '#') {
                self.at += hashes;
                break;
            }
            text.push(c);
        }
        self.push(line, Kind::Text(text));
    }

    fn read_string(&mut self, line: usize) {
        self.next();
        let mut text = String::new();
        while self.at < self.rest.len() {
            match self.next() {
                '"' => break,
                '\\' => {
                    text.push('\\');
                    text.push(self.next());
                }
                c => text.push(c),
            }
        }
        self.push(line, Kind::Text(text));
    }

    /// A character, or a lifetime, which is left out.
    fn read_quote(&mut self, line: usize) {
        self.next();
        let lifetime = (self.peek(0).is_alphabetic() || self.peek(0) == '_') && self.peek(1) != '\'';
        if lifetime {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.next();
            }
            return;
        }
        while self.at < self.rest.len() {
            match self.next() {
                '\\' => {
                    self.next();
                }
                '\'' => break,
                _ => {}
            }
        }
        self.push(line, Kind::Literal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).iter().filter_map(|t| t.word().map(str::to_owned)).collect()
    }

    #[test]
    fn a_word_in_a_comment_or_a_string_is_not_code() {
        let text = r##"
            // todo in a line
            /* todo /* nested */ todo */
            let s = "todo \" todo"; let r = r#"todo " todo"#; let c = '"'; let b = b"todo"; let l: &'todo u8;
            real
        "##;
        assert_eq!(words(text), ["let", "s", "let", "r", "let", "c", "let", "b", "let", "l", "u8", "real"]);
    }

    #[test]
    fn a_token_knows_its_line() {
        let found = tokens("a\n\"x\ny\"\nb");
        assert_eq!(found.iter().map(|t| t.line).collect::<Vec<_>>(), [1, 2, 4]);
    }

    #[test]
    fn what_is_under_cfg_test_is_not_production() {
        let text = "fn a() {} #[cfg(test)] mod tests { fn b() { if x { y } } } fn c() {} #[cfg(test)] use d; e";
        let source = Source::new(Path::new("x.rs"), text.to_owned());
        let kept: Vec<_> = source.production().iter().filter_map(|t| t.word().map(str::to_owned)).collect();
        assert_eq!(kept, ["fn", "a", "fn", "c", "e"]);
    }
}
