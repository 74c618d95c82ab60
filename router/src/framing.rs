//! Watches the framing of HTTP/1.1 requests beside the parser, and closes gently.
//!
//! Where a request ends must be beyond doubt, or one caller's bytes become another's request (request smuggling,
//! RFC 9112 section 11.2). The parser resolves some doubts silently: of `Content-Length` and `Transfer-Encoding`
//! it takes the second, and of equal lengths the first. This reader only refuses: it takes no decision that the
//! parser does not take again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What is read and dropped after the last answer, so that a caller who is still sending can read that answer
/// instead of meeting a reset connection.
const LINGER_BYTES_MAX: usize = 4 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// Set for good once a connection has carried a request whose end is in doubt.
#[derive(Debug, Clone, Default)]
pub(crate) struct InDoubt(Arc<AtomicBool>);

impl InDoubt {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A stream whose incoming requests are watched.
pub(crate) struct Watched<T> {
    inner: T,
    framing: Framing,
    linger: Option<Linger>,
}

struct Linger {
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl<T> Watched<T> {
    pub(crate) fn new(inner: T, in_doubt: InDoubt) -> Self {
        Self { inner, framing: Framing::new(in_doubt), linger: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        this.framing.see(&buf.filled()[before..]);
        polled
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            std::task::ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let until = || Box::pin(tokio::time::sleep(LINGER));
        let linger = this.linger.get_or_insert_with(|| Linger { left: LINGER_BYTES_MAX, until: until() });
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && linger.left >= buf.filled().len() => {
                    linger.left -= buf.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return linger.until.as_mut().poll(cx).map(Ok),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Longer than any honest line that matters here: `transfer-encoding: chunked` or a length of twenty digits.
const LINE_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the request line or a header.
    Head,
    /// In a body of this many more bytes.
    Body(u64),
    /// In the line that says how long the next chunk is.
    ChunkSize,
    /// In a chunk of this many more bytes, its line end included.
    Chunk(u64),
    /// In the lines after the last chunk.
    Trailers,
    /// Past a doubt: nothing more is worth watching.
    Lost,
}

struct Framing {
    at: At,
    line: [u8; LINE_MAX],
    line_len: usize,
    line_last: u8,
    in_head: bool,
    lengths: u32,
    length: u64,
    encodings: u32,
    in_doubt: InDoubt,
}

impl Framing {
    fn new(in_doubt: InDoubt) -> Self {
        Self {
            at: At::Head,
            line: [0; LINE_MAX],
            line_len: 0,
            line_last: 0,
            in_head: false,
            lengths: 0,
            length: 0,
            encodings: 0,
            in_doubt,
        }
    }

    fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::Lost => return,
                At::Body(left) | At::Chunk(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[here..];
                    let left = left - here as u64;
                    self.at = match (self.at, left) {
                        (At::Body(_), 0) => At::Head,
                        (At::Body(_), left) => At::Body(left),
                        (_, 0) => At::ChunkSize,
                        (_, left) => At::Chunk(left),
                    };
                }
                At::Head | At::ChunkSize | At::Trailers => bytes = self.line(bytes),
            }
        }
    }

    /// Takes bytes up to the end of the line, and acts on the line when its end is there.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        // The first bytes are enough to know a line by, and its whole length to know that it was cut.
        let room = LINE_MAX.saturating_sub(self.line_len).min(part.len());
        let from = self.line_len.min(LINE_MAX);
        self.line[from..from + room].copy_from_slice(&part[..room]);
        self.line_len = self.line_len.saturating_add(part.len());
        self.line_last = part.last().copied().unwrap_or(self.line_last);
        let Some(end) = end else { return &[] };

        let (line, len) = (self.line, std::mem::take(&mut self.line_len));
        // Only the last byte tells whether the line ended in CR LF.
        let ended_well = std::mem::take(&mut self.line_last) == b'\r';
        match line.get(..len) {
            Some(whole) => self.whole_line(whole.strip_suffix(b"\r").unwrap_or(whole), ended_well),
            None => self.long_line(&line, ended_well),
        }
        &bytes[end + 1..]
    }

    fn whole_line(&mut self, line: &[u8], ended_well: bool) {
        match self.at {
            // A bare LF, and a line that goes on (obs-fold), are read differently by different parsers.
            _ if !ended_well => self.doubt(),
            At::Head if line.is_empty() => self.end_of_head(),
            At::Head => self.head_line(line),
            At::Trailers if line.is_empty() => self.at = At::Head,
            At::ChunkSize => self.chunk_size(line),
            _ => {}
        }
    }

    fn long_line(&mut self, start: &[u8], ended_well: bool) {
        if !ended_well || self.at == At::ChunkSize || value_of(start, b"content-length").is_some() {
            self.doubt();
        } else if self.at == At::Head {
            self.head_line(start);
        }
    }

    fn head_line(&mut self, line: &[u8]) {
        if !self.in_head {
            self.in_head = true;
        } else if line.starts_with(b" ") || line.starts_with(b"\t") {
            self.doubt();
        } else if let Some(value) = value_of(line, b"content-length") {
            self.lengths += 1;
            let digits = std::str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
            match digits.and_then(|v| v.parse().ok()) {
                Some(length) => self.length = length,
                None => self.doubt(),
            }
        } else if let Some(value) = value_of(line, b"transfer-encoding") {
            self.encodings += 1;
            if !value.eq_ignore_ascii_case(b"chunked") {
                self.doubt();
            }
        }
    }

    fn end_of_head(&mut self) {
        if !self.in_head {
            // An empty line before a request line is ignored (RFC 9112 section 2.2).
            return;
        }
        let (lengths, encodings) = (std::mem::take(&mut self.lengths), std::mem::take(&mut self.encodings));
        let length = std::mem::take(&mut self.length);
        self.in_head = false;
        match (lengths, encodings) {
            (0 | 1, 0) if length == 0 => self.at = At::Head,
            (1, 0) => self.at = At::Body(length),
            (0, 1) => self.at = At::ChunkSize,
            _ => self.doubt(),
        }
    }

    fn chunk_size(&mut self, line: &[u8]) {
        // An extension after the size means nothing here; what it is for, if anything, is doubt.
        let size = std::str::from_utf8(line).ok().filter(|s| s.bytes().all(|b| b.is_ascii_hexdigit()));
        match size.and_then(|s| u64::from_str_radix(s, 16).ok()) {
            Some(0) => self.at = At::Trailers,
            Some(size) if size < u64::MAX - 2 => self.at = At::Chunk(size + 2),
            _ => self.doubt(),
        }
    }

    fn doubt(&mut self) {
        self.at = At::Lost;
        self.in_doubt.0.store(true, Ordering::Release);
    }
}

/// The value of a header line, if the line is that header. A space before the colon makes it no header (RFC 9112
/// section 5.1); such a line is taken for the header here, and its value then is no length and no `chunked`.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let rest = rest.trim_ascii();
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    rest.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_doubt(pieces: &[&[u8]]) -> bool {
        let flag = InDoubt::default();
        let mut framing = Framing::new(flag.clone());
        for piece in pieces {
            framing.see(piece);
        }
        flag.is_set()
    }

    const CLEAR: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 42\r\n\r\ncontent-length: 1\r\ntransfer-encoding: chunked",
        b"\r\nGET / HTTP/1.1\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\n\r\n0\r\ntrailer: content-length\r\n\r\n",
        b"GET /a-path-that-is-longer-than-what-is-kept-of-a-line-while-the-line-is-read HTTP/1.1\r\n\
          content-type: application/json; with=parameters; that=go; beyond=what; is=kept; of=a; line=here\r\n\r\n",
    ];

    const DOUBTFUL: [&[u8]; 12] = [
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5, 5\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\ncontent-length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\n continued\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
    ];

    #[test]
    fn a_request_whose_end_is_clear_passes() {
        for bytes in CLEAR {
            assert!(!in_doubt(&[bytes]), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_request_whose_end_is_in_doubt_is_seen_also_when_it_comes_second() {
        for bytes in DOUBTFUL {
            assert!(in_doubt(&[bytes]), "{}", String::from_utf8_lossy(bytes));
            assert!(in_doubt(&[CLEAR[1], bytes]), "second: {}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(which in 0usize..19, cuts in proptest::collection::vec(1usize..9, 0..60)) {
            let (bytes, expected) = if which < 7 { (CLEAR[which], false) } else { (DOUBTFUL[which - 7], true) };
            let mut pieces = Vec::new();
            let mut rest = bytes;
            for cut in cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = left;
            }
            pieces.push(rest);
            prop_assert_eq!(in_doubt(&pieces), expected);
        }
    }
}
