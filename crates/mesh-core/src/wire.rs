//! Reading and writing the protocol's byte strings: big-endian numbers and
//! length-prefixed vectors. A read never passes the end of the input, and never
//! allocates for a length that a peer claims.

/// The input ended early, or a length was out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes")]
pub struct Malformed;

/// Reads from the front of a byte string.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that have not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Succeeds if everything has been read.
    pub const fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = tail;
        Ok(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes as a number.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes as a number.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A vector behind a length of one byte.
    pub fn vec8(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u8()?;
        self.bytes(usize::from(len))
    }

    /// A vector behind a length of two bytes.
    pub fn vec16(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    /// A vector behind a length of four bytes.
    pub fn vec32(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u32()?;
        self.bytes(usize::try_from(len).map_err(|_| Malformed)?)
    }
}

/// Appends to a byte string. A length that does not fit its prefix is
/// [`Malformed`]: the caller exceeds the protocol's limit.
pub trait Write {
    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// Appends a number of two bytes.
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a number of four bytes.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a vector behind a length of one byte.
    fn put_vec8(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.put(&[u8::try_from(bytes.len()).map_err(|_| Malformed)?]);
        self.put(bytes);
        Ok(())
    }

    /// Appends a vector behind a length of two bytes.
    fn put_vec16(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.put_u16(u16::try_from(bytes.len()).map_err(|_| Malformed)?);
        self.put(bytes);
        Ok(())
    }
}

impl Write for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Write for bytes::BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_round_trip() -> Result<(), Malformed> {
        let mut out = Vec::new();
        out.put_vec8(b"abc")?;
        out.put_vec16(b"")?;
        out.put_u32(7);
        let mut reader = Reader::new(&out);
        assert_eq!((reader.vec8()?, reader.vec16()?, reader.u32()?), (&b"abc"[..], &b""[..], 7));
        reader.end()
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        assert_eq!(Reader::new(&[5, 1]).vec8(), Err(Malformed));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).vec32(), Err(Malformed));
        assert_eq!(Vec::new().put_vec8(&[0; 256]), Err(Malformed));
        assert_eq!(Reader::new(&[1]).end(), Err(Malformed));
    }
}
