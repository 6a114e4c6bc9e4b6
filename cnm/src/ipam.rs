//! Address management as values: pools, which subnets are free ([`AddressSpace`]), and who has which address
//! ([`Leases`]).

mod leases;
mod occupancy;
mod pool;
mod space;
#[cfg(test)]
mod tests;

pub use leases::Leases;
pub use occupancy::Occupancy;
pub use pool::{Pool, with_prefix};
pub use space::{AddressSpace, DefaultPool, DefaultPools};
