//! The plans of some positions as one, in which products take several positions at once.
//!
//! What is no product runs position after position between two products, as it would token by token: keys
//! and values reach the cache before their own and later positions read them, and nobody sees a later one.

use std::ops::Range;

use super::Plan;
use crate::engine::cuda::arena::Arenas;
use crate::engine::cuda::launch::Launch;

impl Plan {
    /// Joins `plans`, which differ in nothing but the position: number i works in arena i.
    pub fn together(plans: &[Self], arenas: &Arenas) -> Self {
        let Some(one) = plans.first() else { return Self::default() };
        let mut launches = Vec::new();
        let mut apart = 0..0;
        for (at, launch) in one.launches.iter().enumerate() {
            let most = launch.columns();
            if most < 2 {
                apart.end = at + 1;
                continue;
            }
            one_by_one(plans, &apart, &mut launches);
            apart = at + 1..at + 1;
            for (i, columns) in plans.chunks(most).enumerate() {
                let first = &columns[0].launches[at];
                launches.push(first.over(arenas.address(i * most), arenas.stride(), columns.len()));
            }
        }
        one_by_one(plans, &apart, &mut launches);
        Self { launches, ready: one.ready.clone() }
    }
}

fn one_by_one(plans: &[Plan], range: &Range<usize>, launches: &mut Vec<Launch>) {
    for plan in plans {
        launches.extend_from_slice(&plan.launches[range.clone()]);
    }
}
