//! Checks a library file before the binding sees it, so that nothing in the binding can stop the process: a file that is
//! no library, a library that is not ONNX Runtime, or one that is too old is an error with its reason.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ort::sys::OrtApiBase;

use super::MINIMUM_MINOR;
use crate::error::{NnError, Result};

/// Version of the ONNX Runtime library in `path`, which must be one and new enough.
pub(super) fn check(path: &Path) -> Result<String> {
    let unusable = |why: String| NnError::RuntimeUnusable {
        path: path.to_path_buf(),
        why,
    };
    looks_like_a_library(path).map_err(unusable)?;
    // SAFETY: loading a library runs its constructors. The file comes from the documented search order only, that is,
    // from the user or from folders the user's program owns.
    let library =
        unsafe { libloading::Library::new(path) }.map_err(|e| unusable(format!("it cannot be loaded: {e}")))?;
    // SAFETY: the symbol has this type in every release of ONNX Runtime (onnxruntime_c_api.h).
    let entry = unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") };
    let entry =
        entry.map_err(|_| unusable("it is a shared library, but not ONNX Runtime (it has no OrtGetApiBase)".into()))?;
    // SAFETY: the function takes nothing and returns a pointer to a static table, or null.
    let base = unsafe { entry().as_ref() }.ok_or_else(|| unusable("it has no interface table".into()))?;
    // SAFETY: the table's second entry returns a static text, or null in a broken library.
    let text = unsafe { (base.GetVersionString)() };
    if text.is_null() {
        return Err(unusable("it does not tell its version".into()));
    }
    // SAFETY: not null, NUL-terminated, and static as long as the library is loaded, which it is here.
    let version = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    match numbers.as_slice() {
        [1, minor, ..] if *minor >= MINIMUM_MINOR => {}
        [1, ..] => {
            return Err(NnError::RuntimeTooOld {
                path: path.to_path_buf(),
                found: version,
                minimum: MINIMUM_MINOR,
            });
        }
        _ => return Err(unusable(format!("it says it is version `{version}`, not 1.x"))),
    }
    // SAFETY: as above; the table is asked for the interface the binding will use.
    if unsafe { (base.GetApi)(MINIMUM_MINOR) }.is_null() {
        return Err(unusable(format!(
            "version {version} does not offer interface {MINIMUM_MINOR}"
        )));
    }
    Ok(version)
}

/// Whether a file starts like a shared library. Cheap, and keeps strange files from the loader.
fn looks_like_a_library(path: &Path) -> Result<(), String> {
    let mut start = [0u8; 4];
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("it is not a file".into());
    }
    file.read_exact(&mut start)
        .map_err(|_| "it is not a shared library (too short)".to_owned())?;
    let known = [
        *b"\x7fELF",
        0xfeed_facf_u32.to_le_bytes(),
        0xfeed_facf_u32.to_be_bytes(),
        0xcafe_babe_u32.to_be_bytes(),
    ];
    if known.contains(&start) || start.starts_with(b"MZ") {
        Ok(())
    } else {
        Err("it is not a shared library".into())
    }
}
