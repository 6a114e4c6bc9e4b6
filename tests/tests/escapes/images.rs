//! Images: archives, layers and registries that lie.
