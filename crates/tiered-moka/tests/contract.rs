//! [`Moka`] keeps the contract of an L1.

use tiered_core::testing::l1;
use tiered_moka::Moka;

#[test]
fn a_tier_bounded_by_entries_keeps_the_contract() {
    l1::contract(&Moka::entries(100));
}

#[test]
fn a_tier_bounded_by_bytes_keeps_the_contract() {
    l1::contract(&Moka::bytes(10_000));
}
