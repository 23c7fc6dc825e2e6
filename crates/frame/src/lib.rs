//! Pixels, colour, time and sound: the data that travels through kinora.
//!
//! This crate knows nothing of processors, files or networks. Everything in it is plain data
//! plus arithmetic on it, so every function is a pure function of its arguments.
#![warn(missing_docs)]

mod buffer;
pub mod color;
mod convert;
mod error;
mod format;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod image;
mod packing;
pub mod quality;
mod rational;
mod resize;
mod sound;
mod time;

pub use buffer::{DeviceBuffer, DeviceId, HostBuffer, HostBufferMut, Pool, PoolStats};
pub use color::{ChromaLocation, ColorRange, ColorSpec, Matrix, Primaries, Transfer};
pub use convert::{ChromaUp, ConvertOptions, alpha_plane, convert, convert_with, to_pixels, to_tensor, with_alpha};
pub use error::FrameError;
pub use format::{ColorModel, PixelFormat, PlaneLayout};
pub use frame::{ContentLight, Frame, FrameIndex, MasteringDisplay, SideData};
pub use image::{ElementType, Image, ImageDesc, Layout, Size, Storage, TensorOrder, ValueRange};
pub use packing::{from_semi_planar, to_bgra, to_semi_planar};
pub use rational::Rational;
pub use resize::{
    Cover, Filter, Placement, Resample, ResizeSample, contain, cover, resize, resize_pillow_u8, resize_samples,
};
pub use sound::{AudioChunk, TextEvent};
pub use time::Timestamp;
