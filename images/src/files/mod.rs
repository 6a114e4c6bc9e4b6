//! Files of a root file system as tar, both ways, while whoever lives in it does what they like: a container's files for
//! `cp` and `export`, and what it changed for `commit`; likewise those that a build takes in, and what its steps wrote.
//!
//! Nothing on the way is believed to be what it was a moment ago. Names given by users are resolved by the kernel as if
//! the root were that of the process (`resolve`); what is found below is walked through no symbolic link (`tree`).

mod extract;
mod member;
mod pack;
mod resolve;
mod tree;
mod view;

pub use extract::{ExtractError, Extraction, Ownership, extract};
pub use pack::{PackError, check_layer_name, pack_layer, pack_path, pack_root};
pub use resolve::{FileStat, follow_links, make_directory, plain, stat};
pub use tree::{Entry, ReadError, Tree, size};
pub use view::view;

pub(crate) use pack::{is_opaque, pack_tree};

#[cfg(test)]
mod tests;
