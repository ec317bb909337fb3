//! The instances that one of many callers uses, where there are many.
//!
//! The instances form a ring, in the order of the hashes of their addresses, which is the same for every caller.
//! Each caller has a place on the ring and uses the instances that follow it. When the callers know how many they
//! are, their places have equal distances, and so each instance has the same number of callers, or one more
//! (deterministic aperture). Without that, a place is chosen by chance, and the numbers differ as by chance.
//!
//! An instance that comes or goes shifts each place by less than one instance: a caller changes two at most.

use super::{dice::mix, facts::Facts};

/// The place of a caller: `index` of `of` equal parts of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) of: u64,
}

/// The indices of the `most` instances that the caller at `place` uses: those of its zone first.
pub(super) fn aperture(instances: &[Facts], most: usize, place: Place) -> Vec<usize> {
    let in_zone = |local: bool| {
        let mut ring: Vec<usize> =
            (0..instances.len()).filter(|index| instances[*index].local == local).collect();
        ring.sort_unstable_by_key(|index| (mix(instances[*index].hash), instances[*index].hash, *index));
        ring
    };
    let mut chosen = arc(&in_zone(true), most, place);
    let others = most - chosen.len();
    chosen.extend(arc(&in_zone(false), others, place));
    chosen
}

/// The members of a ring that follow a place.
#[allow(clippy::cast_possible_truncation, reason = "the quotient is below the length of the ring")]
fn arc(ring: &[usize], most: usize, place: Place) -> Vec<usize> {
    let start = u128::from(place.index) * ring.len() as u128 / u128::from(place.of.max(1));
    ring.iter().cycle().skip(start as usize).take(most.min(ring.len())).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instances(count: u64) -> Vec<Facts> {
        (0..count).map(|number| Facts { hash: mix(number), weight: 1.0, local: false }).collect()
    }

    proptest! {
        #[test]
        fn callers_that_know_their_number_spread_evenly(
            count in 2_u64..200, most in 1_usize..64, callers in 1_u64..300,
        ) {
            let instances = instances(count);
            let mut used = vec![0_u64; instances.len()];
            for index in 0..callers {
                let chosen = aperture(&instances, most, Place { index, of: callers });
                prop_assert_eq!(chosen.len(), most.min(instances.len()));
                for index in chosen {
                    used[index] += 1;
                }
            }
            let (least, largest) = (used.iter().min().unwrap(), used.iter().max().unwrap());
            prop_assert!(largest - least <= 1, "{least} to {largest}");
        }

        #[test]
        fn an_instance_that_comes_changes_two_of_a_caller_at_most(
            count in 40_u64..200, index in 0_u64..100,
        ) {
            let place = Place { index, of: 100 };
            let hashes = |count: u64| {
                let instances = instances(count);
                let mut hashes: Vec<_> =
                    aperture(&instances, 32, place).into_iter().map(|index| instances[index].hash).collect();
                hashes.sort_unstable();
                hashes
            };
            let (before, after) = (hashes(count), hashes(count + 1));
            let lost = before.iter().filter(|hash| after.binary_search(hash).is_err()).count();
            prop_assert!(lost <= 2, "{lost}");
        }
    }

    #[test]
    fn the_instances_of_the_zone_come_first() {
        let mut instances = instances(40);
        for index in [3, 17, 29] {
            instances[index].local = true;
        }
        let chosen = aperture(&instances, 8, Place { index: 1, of: 2 });
        let mut local: Vec<_> = chosen[..3].to_vec();
        local.sort_unstable();
        assert_eq!((chosen.len(), local), (8, vec![3, 17, 29]));
    }
}
