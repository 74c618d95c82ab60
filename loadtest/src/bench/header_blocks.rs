//! Header blocks of requests, written by hand, and the status of an answer (RFC 7541).

use bytes::{BufMut as _, BytesMut};

use super::streams::{Caller, Grpc, Question};

/// The header block of a request. What all requests share is put into the table by the first of them; the last one is
/// then the first in it. Names with a colon come before the others.
pub(super) fn request(caller: &Caller, asked: &Question, first: bool) -> BytesMut {
    let mut block = BytesMut::with_capacity(256);
    let Caller { at, api_key, posts, grpc, .. } = caller;
    block.put_u8(if *posts { 0x83 } else { 0x82 });
    block.put_u8(if *grpc == Some(Grpc::Plain) { 0x86 } else { 0x87 });
    literal(&mut block, 0x04, &asked.path);
    if grpc.is_some() {
        if first {
            literal(&mut block, 0x41, &format!("{}:{}", at.host, at.port));
            literal(&mut block, 0x5f, "application/grpc");
            block.put_u8(0x40);
            text(&mut block, "te");
            text(&mut block, "trailers");
        } else {
            block.put_slice(&[0xc0, 0xbf, 0xbe]);
        }
    } else if first {
        literal(&mut block, 0x41, &format!("{}:{}", at.host, at.port));
        literal(&mut block, 0x57, &format!("Bearer {api_key}"));
        block.put_u8(0x40);
        text(&mut block, "purpose-of-use");
        text(&mut block, "TREAT");
        if *posts {
            literal(&mut block, 0x5f, "application/json");
        }
    } else {
        let shared = 3 + u8::from(*posts);
        (62..62 + shared).rev().for_each(|at| block.put_u8(0x80 | at));
    }
    if let Some(key) = &asked.key {
        block.put_u8(0x00);
        text(&mut block, "idempotency-key");
        text(&mut block, key);
    }
    block
}

/// Whether a header block begins with a status of success, after what it says of its table.
pub(super) fn is_good(block: &[u8]) -> bool {
    let rest = block.iter().position(|byte| byte & 0xe0 != 0x20).map_or(&[][..], |at| &block[at..]);
    match rest {
        // 200, 204 and 206 stand in the static table. Others are in digits, plain or in Huffman's code.
        [0x88..=0x8a, ..] | [0x08 | 0x18 | 0x48, 0x03, b'2', ..] => true,
        [0x08 | 0x18 | 0x48, 0x82, first, ..] => first >> 3 == 0b00010,
        _ => false,
    }
}

/// A value after a name from the static table, and how it is to be kept, in one byte.
fn literal(out: &mut BytesMut, name: u8, value: &str) {
    out.put_u8(name);
    text(out, value);
}

/// A text as it is, after its length in seven bits and more.
fn text(out: &mut BytesMut, value: &str) {
    let length = value.len();
    if length < 127 {
        out.put_u8(u8::try_from(length).unwrap_or(0));
    } else {
        out.put_u8(127);
        let mut rest = length - 127;
        while rest >= 128 {
            out.put_u8(u8::try_from(rest % 128).unwrap_or(0) | 0x80);
            rest /= 128;
        }
        out.put_u8(u8::try_from(rest).unwrap_or(0));
    }
    out.put_slice(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_block_that_begins_with_it() {
        // 200 from the static table, after a change of the table's size; 201 plain and in Huffman's code.
        for good in [&[0x88, 0x0f][..], &[0x20, 0x88], b"\x48\x03201", &[0x08, 0x82, 0x10, 0x03]] {
            assert!(is_good(good), "{good:x?}");
        }
        // 404 and 500 from the static table, 503 plain and in Huffman's code, and nothing.
        for bad in [&[0x8d][..], &[0x8e], b"\x48\x03503", &[0x48, 0x82, 0x6c, 0x0c], &[]] {
            assert!(!is_good(bad), "{bad:x?}");
        }
    }

    #[test]
    fn a_length_is_written_as_rfc_7541_says() {
        let written = |length: usize| {
            let mut out = BytesMut::new();
            text(&mut out, &"a".repeat(length));
            out[..out.len() - length].to_vec()
        };
        assert_eq!(written(10), [10]);
        assert_eq!(written(126), [126]);
        assert_eq!(written(127), [127, 0]);
        assert_eq!(written(1_337), [127, 0xba, 0x09]);
    }
}
