use std::{path::PathBuf, sync::Arc};

use kinora_frame::{ColorSpec, Frame, ImageDesc, Layout, Rational, Timestamp};
use kinora_media::{Decoder, Encoder, PacketIndex, Verdict};

use crate::{Completeness, EngineError, FrameSink, FrameSource, Halt, SinkReport};

/// Frames of a media file, all of them or a part.
pub struct ClipSource {
    decoder: Decoder,
    index: Arc<PacketIndex>,
    path: PathBuf,
    frame_rate: Option<Rational>,
    /// First frame, and the one after the last.
    first: u64,
    end: u64,
    given: u64,
    /// Time of the last frame given.
    last: Option<Timestamp>,
    ended_by_range: bool,
    stated: Stated,
}

/// What a container says of its length, to tell a cut-off file.
#[derive(Clone, Debug, Default)]
pub struct Stated {
    /// Frames, stated or estimated from length and rate.
    pub frames: u64,
    /// Its length as a time code.
    pub length: Option<String>,
}

impl ClipSource {
    /// Frames `first..end` of a stream that `decoder` was opened on at `first`.
    #[must_use]
    pub fn new(
        decoder: Decoder,
        index: Arc<PacketIndex>,
        path: PathBuf,
        frame_rate: Option<Rational>,
        first: u64,
        end: u64,
        stated: Stated,
    ) -> Self {
        Self {
            decoder,
            index,
            path,
            frame_rate,
            first,
            end,
            given: 0,
            last: None,
            ended_by_range: false,
            stated,
        }
    }
}

impl ClipSource {
    /// Whether the part is over, before the next frame or at it. Where times can be searched the time decides, since
    /// frames that do not decode are not given; elsewhere frames are counted.
    fn is_at_end(&self, next: Option<Timestamp>) -> bool {
        if self.end >= self.index.len() {
            return false;
        }
        if !self.index.seekable() {
            return self.first + self.given >= self.end;
        }
        match next {
            Some(pts) => self.index.pts_of(self.end).is_some_and(|end| pts >= end),
            None => self.last.is_some() && self.last == self.index.pts_of(self.end.saturating_sub(1)),
        }
    }

    fn end_here(&mut self) -> Option<Frame> {
        self.ended_by_range = true;
        self.decoder.stop_handle().stop();
        None
    }
}

impl FrameSource for ClipSource {
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn image(&self) -> ImageDesc {
        let mut desc = self.decoder.desc();
        desc.color = settled(&desc);
        desc
    }

    fn frame_rate(&self) -> Option<Rational> {
        self.frame_rate
    }

    fn planned(&self) -> (u64, bool) {
        if self.index.is_empty() {
            return (self.stated.frames, false);
        }
        (self.end.saturating_sub(self.first), true)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, EngineError> {
        // The end of a part is a place in the index; the last part runs to the last frame that decodes.
        if self.is_at_end(None) {
            return Ok(self.end_here());
        }
        let Some(frame) = self.decoder.next_frame()? else {
            self.decoder.completeness().check_decoder(&self.index)?;
            return Ok(None);
        };
        if self.is_at_end(Some(frame.pts)) {
            return Ok(self.end_here());
        }
        self.given += 1;
        self.last = Some(frame.pts);
        let color = settled(frame.image.desc());
        let image = frame.image.clone().with_color(color);
        Ok(Some(frame.with_image(image)))
    }

    fn halt(&self) -> Halt {
        let stop = self.decoder.stop_handle();
        Arc::new(move || stop.stop())
    }

    fn notes(&self) -> Vec<(&'static str, String)> {
        self.decoder.completeness().notes(&self.index)
    }

    fn completeness(&self) -> Completeness {
        match self.decoder.completeness().verdict(&self.index, self.ended_by_range) {
            Verdict::Whole => Completeness::Whole,
            Verdict::Cut {
                expected, last, stated, ..
            } => Completeness::Truncated {
                expected: self.stated.frames.max(expected),
                at: last.map_or_else(|| "its beginning".to_owned(), |last| last.to_string()),
                total: (self.stated.length.clone())
                    .or_else(|| stated.map(|stated| stated.to_string()))
                    .unwrap_or_else(|| "what its tables say".to_owned()),
            },
        }
    }
}

/// The colour of a clip with its matrix settled by the source's own height, once: a picture that is enlarged past
/// 720 rows would otherwise be read by one matrix and written by another.
fn settled(desc: &ImageDesc) -> ColorSpec {
    let is_yuv = matches!(desc.layout, Layout::Pixels(format) if format.is_yuv());
    if !is_yuv {
        return desc.color;
    }
    ColorSpec {
        matrix: desc.color.resolved_matrix(desc.size.height),
        ..desc.color
    }
}

/// Frames into a media file.
pub struct ClipSink {
    encoder: Encoder,
}

impl ClipSink {
    /// A sink over a started encoder.
    #[must_use]
    pub fn new(encoder: Encoder) -> Self {
        Self { encoder }
    }
}

impl FrameSink for ClipSink {
    fn write(&mut self, frame: &Frame, _repeats: bool) -> Result<(), EngineError> {
        Ok(self.encoder.write(frame)?)
    }

    fn finish(self: Box<Self>) -> Result<SinkReport, EngineError> {
        let written = self.encoder.finish()?;
        let lost = |what: &String| format!("the file does not say its colour as the source did: {what}");
        let notes = written.color_differences.iter().map(lost).collect();
        Ok(SinkReport {
            path: written.path,
            frames: written.frames,
            bytes: written.bytes,
            notes,
        })
    }

    fn halt(&self) -> Halt {
        let stop = self.encoder.stop_handle();
        Arc::new(move || stop.stop())
    }
}
