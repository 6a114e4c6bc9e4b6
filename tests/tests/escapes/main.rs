//! The published escapes from container engines, tried against berth; docs/security.md has the table. One file a class.

mod builds;
mod copies;
mod entering;
mod images;
mod mounts;
mod networks;
mod settings;
mod table;
mod users;
