//! Disk usage of a container.

/// What a container takes of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Written by the container.
    pub written_bytes: u64,
    /// That and the image.
    pub total_bytes: u64,
}
