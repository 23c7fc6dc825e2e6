//! Jobs that nothing can lose: segments, a folder that records them, and the way from them to one file.
//!
//! A job is cut every so many output frames, a pure function of the job. Each segment is encoded by itself, synced,
//! renamed into place and recorded, in that order; what is recorded is never made again. The final file is a copy of
//! the segments' packets.

mod cuts;
mod folder;
mod identity;
mod job;
mod known;
pub(crate) mod line;
mod lock;
mod names;
mod piece;
mod publish;
mod record;
mod sink;
mod states;
mod store;

pub use cuts::{Block, Cuts, SEGMENT_FRAMES};
pub use folder::{Found, JobFolder, Opening, Removed};
pub use identity::{Identity, content_hash};
pub use job::{DurableJob, OpenRange, plan_json};
pub use lock::Who;
pub use piece::{ClipPieces, PieceMaker, PieceWriter, PieceWritten};
pub use publish::{Final, Published, is_published, publish};
pub use record::{DoneRecord, EndRecord, JobRecord, NoteRecord, Record, SegmentRecord, SegmentTimes, Shortfall};
pub use states::SavedStates;
pub use store::{Disk, Store};

/// Number of the engine's way with pixels and times: raised whenever the same job would give another output.
pub const ENGINE_VERSION: u32 = 1;
