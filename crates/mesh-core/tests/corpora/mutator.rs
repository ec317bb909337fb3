//! Random changes of a corpus, the same for the same seed.

/// Numbers that limits and lengths are near to.
const EDGES: [u32; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, u32::MAX];
/// Longer inputs are cut.
const LONGEST: usize = 20_000;

pub(crate) struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { state: seed, corpus }
    }

    /// `SplitMix64`, below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % (end.max(1) as u64)) as usize
    }

    fn pick(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        self.corpus[at].clone()
    }

    /// A part of `data`.
    fn part(&mut self, data: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(data.len() + 1);
        let most = (data.len() - start).min(64);
        start..start + self.below(most + 1)
    }

    /// One of the corpus with a few changes.
    pub(crate) fn change(&mut self) -> Vec<u8> {
        let mut data = self.pick();
        for _ in 0..=self.below(4) {
            self.step(&mut data);
        }
        data.truncate(LONGEST);
        data
    }

    fn step(&mut self, data: &mut Vec<u8>) {
        let at = self.below(data.len());
        match self.below(8) {
            0 if !data.is_empty() => data[at] ^= 1 << self.below(8),
            1 if !data.is_empty() => data[at] = self.below(256) as u8,
            2 => drop(data.drain(self.part(data))),
            3 => {
                let part = data[self.part(data)].to_vec();
                let at = at.min(data.len());
                data.splice(at..at, part);
            }
            4 => {
                // A number of one, two or four bytes.
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let bytes = &edge[[3, 2, 0][self.below(3)]..];
                let end = data.len().min(at + bytes.len());
                data[at..end].copy_from_slice(&bytes[..end - at]);
            }
            5 => {
                let other = self.pick();
                let part = other[self.part(&other)].to_vec();
                data.splice(at..at, part);
            }
            6 => {
                let other = self.pick();
                data.truncate(at);
                data.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            _ => data.truncate(at),
        }
    }
}
