use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kinora_frame::{Frame, ImageDesc, Pool, Rational};
use kinora_media::{ImageSequence, MediaError, Still, write_still};

use crate::{EngineError, FrameSink, FrameSource, Halt, SinkReport};

/// Pictures of one size, one after another.
pub struct StillsSource {
    sequence: ImageSequence,
    path: PathBuf,
    image: ImageDesc,
    /// The first picture, which was read to know the size.
    first: Option<Frame>,
    /// Pictures that had to be made like the first one.
    converted: Vec<String>,
    pool: Pool,
    halted: Arc<AtomicBool>,
}

impl StillsSource {
    /// Reads the first picture of a sequence.
    ///
    /// # Errors
    /// [`EngineError::NoFrames`] for no pictures, and those of reading.
    pub fn new(mut sequence: ImageSequence, path: PathBuf, pool: Pool) -> Result<Self, EngineError> {
        let Some(first) = sequence.next_frame()? else {
            return Err(EngineError::NoFrames { path });
        };
        Ok(Self {
            image: *first.image.desc(),
            sequence,
            path,
            first: Some(first),
            converted: Vec::new(),
            pool,
            halted: Arc::default(),
        })
    }

    /// Colour profile of the first picture.
    #[must_use]
    pub fn icc_profile(&self) -> Option<Vec<u8>> {
        self.sequence.icc_profile().map(<[u8]>::to_vec)
    }
}

impl FrameSource for StillsSource {
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn image(&self) -> ImageDesc {
        self.image
    }

    fn frame_rate(&self) -> Option<Rational> {
        None
    }

    fn planned(&self) -> (u64, bool) {
        (self.sequence.len(), true)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, EngineError> {
        if self.halted.load(Ordering::Relaxed) {
            return Err(EngineError::Media(MediaError::Stopped));
        }
        let Some(mut frame) = (match self.first.take() {
            Some(frame) => Some(frame),
            None => self.sequence.next_frame()?,
        }) else {
            return Ok(None);
        };
        // Pictures of one size may still differ in depth or channels; the plan is made for the first.
        if frame.image.desc() != &self.image {
            let name = self
                .sequence
                .file(frame.index)
                .and_then(|file| file.file_name())
                .unwrap_or_default();
            let found = frame.image.desc().layout;
            self.converted.push(format!("{} ({found})", name.to_string_lossy()));
            frame.image = kinora_frame::convert(&frame.image, &self.image, &self.pool)?;
        }
        Ok(Some(frame))
    }

    fn notes(&self) -> Vec<(&'static str, String)> {
        if self.converted.is_empty() {
            return Vec::new();
        }
        let layout = self.image.layout;
        vec![(
            "input.converted",
            format!("made {layout} like the first picture: {}", self.converted.join(", ")),
        )]
    }

    fn halt(&self) -> Halt {
        let halted = Arc::clone(&self.halted);
        Arc::new(move || halted.store(true, Ordering::Relaxed))
    }
}

/// Each frame into a file of its own, whole or not at all.
pub struct StillsSink {
    files: Vec<PathBuf>,
    folder: PathBuf,
    icc_profile: Option<Vec<u8>>,
    quality: u8,
    overwrite: bool,
    written: SinkReport,
}

impl StillsSink {
    /// Frame `i` becomes `files[i]`. `quality` is JPEG's, 1 to 100.
    #[must_use]
    pub fn new(
        files: Vec<PathBuf>,
        folder: PathBuf,
        icc_profile: Option<Vec<u8>>,
        quality: u8,
        overwrite: bool,
    ) -> Self {
        Self {
            files,
            folder,
            icc_profile,
            quality,
            overwrite,
            written: SinkReport::default(),
        }
    }
}

impl FrameSink for StillsSink {
    fn write(&mut self, frame: &Frame, _repeats: bool) -> Result<(), EngineError> {
        let file = usize::try_from(frame.index)
            .ok()
            .and_then(|index| self.files.get(index));
        let Some(file) = file else {
            return Err(EngineError::Count {
                taken: frame.index + 1,
                given: self.written.frames,
                planned: self.files.len() as u64,
            });
        };
        let still = Still {
            image: frame.image.clone(),
            icc_profile: self.icc_profile.clone(),
        };
        self.written.bytes += write_still(file, &still, self.quality, self.overwrite)?;
        self.written.frames += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SinkReport, EngineError> {
        Ok(SinkReport {
            path: self.folder,
            ..self.written
        })
    }

    fn keeps_pieces(&self) -> bool {
        true
    }

    fn halt(&self) -> Halt {
        Arc::new(|| {})
    }
}
