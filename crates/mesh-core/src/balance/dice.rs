//! Random numbers for picks.

/// A seeded generator (`SplitMix64`). Its numbers spread calls; they protect nothing.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator that repeats itself for the same seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The high half of the product: no division, and a bias of 2⁻³² at most.
        ((u64::from((self.roll() >> 32) as u32) * end as u64) >> 32) as usize
    }

    /// A number from 0 up to 1.
    pub fn fraction(&mut self) -> f64 {
        fraction(self.roll())
    }
}

/// Scatters the bits of a number.
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The upper 53 bits as a number from 0 up to 1.
#[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
pub(super) fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
