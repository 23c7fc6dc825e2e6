use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A line of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// What the job is; the first line.
    Job(Box<JobRecord>),
    /// A segment that is done.
    Segment(SegmentRecord),
    /// The source's end was reached.
    End(EndRecord),
    /// Something worth knowing later.
    Note(NoteRecord),
    /// The final file is about to get its name, or has it.
    Done(DoneRecord),
}

/// What a job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Hash of `parts`: everything that can change a pixel or a time.
    pub identity: String,
    /// Those things in clear.
    pub parts: Json,
    /// Frames, size, time base, segment length: for people and other programs.
    pub plan: Json,
    /// What the command needs to go on with these settings.
    pub settings: Json,
    /// Version of kinora that began it.
    pub version: String,
    /// When it was begun, UTC.
    pub created: String,
}

/// A segment that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Number of the segment.
    pub index: u64,
    /// First source frame of its span, and the one after its last.
    pub span: [u64; 2],
    /// Frames in it; fewer than its span where some did not decode.
    pub frames: u64,
    /// Frames that share another's result.
    pub duplicates: u64,
    /// Ticks of its first and last frame, and seconds a tick as a fraction; `None` for a segment without a frame.
    pub times: Option<SegmentTimes>,
    /// Its file; `None` for a segment without a frame.
    pub file: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// The state after it, where a node needs one: file and BLAKE3.
    pub state: Option<[String; 2]>,
    /// Device and batch it was made with.
    pub made: Json,
}

/// Times of a segment, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentTimes {
    /// First frame.
    pub first: i64,
    /// Last frame.
    pub last: i64,
    /// Numerator and denominator of the seconds a tick.
    pub base: [i64; 2],
}

/// The source's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// Segments that there are.
    pub segments: u64,
    /// Set when the source ended before its tables do.
    pub shortfall: Option<Shortfall>,
}

/// How much of a cut-off source is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Frames that decoded.
    pub frames: u64,
    /// Frames expected.
    pub expected: u64,
    /// Time of the last frame that came.
    pub at: String,
    /// Time of the last frame expected.
    pub total: String,
}

/// Something worth knowing later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoteRecord {
    /// What: `start`, `pause`, `retry`.
    pub what: String,
    /// More of it.
    pub about: Json,
}

/// The final file. Written once before it gets its name, so that a kill between the two is understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneRecord {
    /// Name of the final file, without its folder.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its BLAKE3.
    pub blake3: String,
    /// Its frames.
    pub frames: u64,
}
