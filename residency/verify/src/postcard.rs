//! Reads postcard, by the shape that is expected.
//!
//! Postcard has no names and no types in it: a value is the places of its fields. So whoever reads must know the shape,
//! and whatever does not have it is found at its byte.

/// What may stand somewhere.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// 0 or 1.
    Bool,
    /// One byte, up to this.
    Byte(u8),
    /// A number without sign of so many bits.
    Uint(u32),
    /// A number with sign of so many bits.
    Int(u32),
    /// So many bytes, without a length.
    Fixed(usize),
    /// Bytes after their length, at least and at most so many.
    Bytes(usize, usize),
    /// UTF-8 after its length in bytes, at most so many.
    Text(usize),
    /// Digits, letters and signs after their length: nothing in which words could be put together.
    Code(usize),
    /// Perhaps.
    Opt(&'static Shape),
    /// At most so many after each other.
    List(&'static Shape, usize),
    /// One after the other.
    Record(&'static [Shape]),
    /// One of these, by its place.
    Choice(&'static [(&'static str, Shape)]),
    /// One of so many words, by its place.
    Word(u32),
}

/// Where it does not have its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The byte, counted from the beginning of what was read.
    pub at: usize,
    /// What is wrong.
    pub why: String,
}

/// Reads on.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, Misfit>;

impl<'a> Reader<'a> {
    /// From the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong here.
    pub fn misfit(&self, why: impl Into<String>) -> Misfit {
        Misfit { at: self.at, why: why.into() }
    }

    /// So many bytes.
    pub fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let there = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        let taken = there.ok_or_else(|| self.misfit("it ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    /// So many bytes, as an array.
    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A number of at most so many bits, seven to a byte, the low ones first.
    pub fn uint(&mut self, bits: u32) -> Read<u64> {
        let start = self.at;
        let too_large = |at| Misfit { at, why: format!("a number has more than {bits} bits") };
        let (mut value, mut shift) = (0_u128, 0);
        loop {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if value >> bits != 0 {
                return Err(too_large(start));
            }
            if byte & 0x80 == 0 {
                return u64::try_from(value).map_err(|_| too_large(start));
            }
            shift += 7;
            if shift > 63 {
                return Err(too_large(start));
            }
        }
    }

    /// A length, no larger than this.
    pub fn length(&mut self, most: usize) -> Read<usize> {
        let start = self.at;
        let length = self.uint(32)?;
        let fits = usize::try_from(length).ok().filter(|length| *length <= most);
        fits.ok_or_else(|| Misfit { at: start, why: format!("a length of {length}, where {most} is the most") })
    }

    /// An id: 16 bytes after their length.
    pub fn id(&mut self) -> Read<[u8; 16]> {
        let start = self.at;
        if self.length(16)? != 16 {
            return Err(Misfit { at: start, why: "an id that is not of 16 bytes".into() });
        }
        self.array()
    }

    /// Whether something is there.
    pub fn perhaps(&mut self) -> Read<bool> {
        let start = self.at;
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Misfit { at: start, why: format!("{other} where 0 or 1 must stand") }),
        }
    }

    /// Nothing is left.
    pub fn end(&self) -> Read<()> {
        let left = self.bytes.len() - self.at;
        if left == 0 { Ok(()) } else { Err(self.misfit(format!("{left} bytes after the end"))) }
    }

    /// Passes over what has this shape.
    pub fn pass(&mut self, shape: &Shape) -> Read<()> {
        let start = self.at;
        let wrong = |why: String| Err(Misfit { at: start, why });
        match *shape {
            Shape::Bool => self.perhaps().map(drop),
            Shape::Byte(most) => match self.byte()? {
                byte if byte <= most => Ok(()),
                byte => wrong(format!("{byte}, where {most} is the most")),
            },
            Shape::Uint(bits) | Shape::Int(bits) => self.uint(bits).map(drop),
            Shape::Fixed(count) => self.take(count).map(drop),
            Shape::Bytes(least, most) => match self.length(most)? {
                length if length < least => wrong(format!("{length} bytes, where {least} is the least")),
                length => self.take(length).map(drop),
            },
            Shape::Text(most) => self.text(most).map(drop),
            Shape::Code(most) => {
                let text = self.text(most)?;
                let plain = |b: u8| b.is_ascii_alphanumeric() || b".:/_@+~%?=&#!$'*-".contains(&b);
                if text.bytes().all(plain) { Ok(()) } else { wrong("a code with other characters".into()) }
            }
            Shape::Opt(inner) => {
                if self.perhaps()? {
                    self.pass(inner)?;
                }
                Ok(())
            }
            Shape::List(inner, most) => {
                for _ in 0..self.length(most)? {
                    self.pass(inner)?;
                }
                Ok(())
            }
            Shape::Record(fields) => fields.iter().try_for_each(|field| self.pass(field)),
            Shape::Choice(all) => {
                let tag = self.uint(32)?;
                let found = usize::try_from(tag).ok().and_then(|tag| all.get(tag));
                match found {
                    Some((_, inner)) => self.pass(inner),
                    None => wrong(format!("the unknown tag {tag}, where {} are known", all.len())),
                }
            }
            Shape::Word(count) => match self.uint(32)? {
                tag if tag < u64::from(count) => Ok(()),
                tag => wrong(format!("the unknown word {tag}, where {count} are known")),
            },
        }
    }

    fn text(&mut self, most: usize) -> Read<&'a str> {
        let start = self.at;
        let length = self.length(most)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| Misfit { at: start, why: "text that is not UTF-8".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_postcard_writes_it() {
        assert_eq!(Reader::new(&[0x7f]).uint(16), Ok(127));
        assert_eq!(Reader::new(&[0x80, 0x01]).uint(16), Ok(128));
        assert_eq!(Reader::new(&[0xff, 0xff, 0x03]).uint(16), Ok(65_535));
        assert!(Reader::new(&[0x80, 0x80, 0x04]).uint(16).is_err());
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(&most).uint(64), Ok(u64::MAX));
        assert!(Reader::new(&[0x80; 11]).uint(64).is_err());
        assert!(Reader::new(&[0x80]).uint(64).is_err());
    }

    #[test]
    fn what_has_another_shape_is_found_at_its_byte() {
        const TWO: Shape = Shape::Choice(&[("One", Shape::Bool), ("Two", Shape::Text(3))]);
        assert_eq!(Reader::new(&[0, 1]).pass(&TWO), Ok(()));
        assert_eq!(Reader::new(&[0, 2]).pass(&TWO).map_err(|e| e.at), Err(1));
        assert_eq!(Reader::new(&[2]).pass(&TWO).map_err(|e| e.at), Err(0));
        assert_eq!(Reader::new(&[1, 4, b'a', b'b', b'c', b'd']).pass(&TWO).map_err(|e| e.at), Err(1));
        assert_eq!(Reader::new(&[1, 3, b'a']).pass(&TWO).map_err(|e| e.at), Err(2));
        assert!(Reader::new(&[]).pass(&TWO).is_err());
    }
}
