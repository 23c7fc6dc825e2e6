use std::{path::Path, sync::Arc};

use kinora_frame::Frame;
use kinora_media::{EncodeSettings, Encoder, Ffmpeg, Stop, VideoFormat};

use crate::{EngineError, Halt};

/// Writes the frames of one segment into one file.
pub trait PieceWriter: Send {
    /// Takes the next frame.
    ///
    /// # Errors
    /// The encoder's.
    fn write(&mut self, frame: &Frame) -> Result<(), EngineError>;

    /// Ends the file: closed, counted, whole.
    ///
    /// # Errors
    /// The encoder's; no file is left then.
    fn finish(self: Box<Self>) -> Result<PieceWritten, EngineError>;

    /// A way to end a blocked [`PieceWriter::write`] or [`PieceWriter::finish`].
    fn halt(&self) -> Halt;
}

/// A finished piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceWritten {
    /// Frames in it.
    pub frames: u64,
}

/// Starts encoders of one kind. Dropping a writer that was not finished leaves no file.
pub trait PieceMaker: Send + Sync {
    /// Begins a file, the same as every other one: its bytes depend on its frames alone.
    ///
    /// # Errors
    /// The encoder's.
    fn start(&self, path: &Path) -> Result<Box<dyn PieceWriter>, EngineError>;
}

/// Pieces of a video, by FFmpeg.
#[derive(Clone, Debug)]
pub struct ClipPieces {
    /// The FFmpeg.
    pub ffmpeg: Ffmpeg,
    /// The pictures.
    pub video: VideoFormat,
    /// As [`Ffmpeg::piece_settings`] gives them.
    pub settings: EncodeSettings,
}

struct ClipPiece(Encoder);

impl PieceMaker for ClipPieces {
    fn start(&self, path: &Path) -> Result<Box<dyn PieceWriter>, EngineError> {
        let encoder = Encoder::start(&self.ffmpeg, path, &self.video, None, &self.settings, &Stop::default())?;
        Ok(Box::new(ClipPiece(encoder)))
    }
}

impl PieceWriter for ClipPiece {
    fn write(&mut self, frame: &Frame) -> Result<(), EngineError> {
        Ok(self.0.write(frame)?)
    }

    fn finish(self: Box<Self>) -> Result<PieceWritten, EngineError> {
        let written = self.0.finish()?;
        Ok(PieceWritten { frames: written.frames })
    }

    fn halt(&self) -> Halt {
        let stop = self.0.stop_handle();
        Arc::new(move || stop.stop())
    }
}
