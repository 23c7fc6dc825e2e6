//! A device that only counts: its bytes are host bytes behind the trait.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use kinora_frame::{DeviceBuffer, DeviceId, FrameError, Image, Storage};
use kinora_pipeline::{DeviceAccess, ProcessorError};

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) uploads: AtomicUsize,
    pub(crate) downloads: AtomicUsize,
}

#[derive(Debug)]
struct FakeBuffer {
    bytes: Vec<u8>,
    counts: Arc<Counts>,
}

impl DeviceBuffer for FakeBuffer {
    fn device(&self) -> DeviceId {
        fake()
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn download(&self, into: &mut [u8]) -> Result<(), FrameError> {
        self.counts.downloads.fetch_add(1, Ordering::SeqCst);
        into.copy_from_slice(&self.bytes);
        Ok(())
    }
}

pub(crate) struct FakeDevice(pub(crate) Arc<Counts>);

pub(crate) fn fake() -> DeviceId {
    DeviceId("fake:0".to_owned())
}

impl DeviceAccess for FakeDevice {
    fn upload(&self, image: &Image, device: &DeviceId) -> Result<Image, ProcessorError> {
        assert_eq!(*device, fake());
        self.0.uploads.fetch_add(1, Ordering::SeqCst);
        let bytes = image.host_buffer()?.bytes().to_vec();
        let buffer = FakeBuffer {
            bytes,
            counts: Arc::clone(&self.0),
        };
        Ok(Image::new(*image.desc(), Storage::Device(Arc::new(buffer)))?)
    }
}
