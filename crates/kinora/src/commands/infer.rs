use std::{collections::HashMap, fs, path::Path};

use kinora_media::PartFile;
use kinora_models::{ImageModel, image_model::PictureSize, zoo};
use kinora_nn::Runtime;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{job::check_output, place::load_options};
use crate::{app::App, cli::Infer, failure::Failure};

/// Largest input file: a picture's tensor, not a model.
const MAX_BYTES: u64 = 4 << 30;

pub(crate) fn run(app: &App, flags: &Infer) -> Result<(), Failure> {
    let options = load_options(&flags.place)?;
    check_output(&flags.output, &flags.input, flags.overwrite)?;
    let bytes = read(&flags.input)?;
    let (name, shape, values) = image_tensor(&bytes, &flags.input)?;
    let folders = app.folders()?;
    let resolved = zoo::resolve(&flags.model, &folders)?;
    let runtime = Runtime::load(&app.runtime_search(&folders, &flags.place.device))?;
    let model = ImageModel::open(&resolved.source, &resolved.spec, &runtime, &options, &app.cache())?;
    app.console
        .say(&format!("{}   {name} {shape:?}, on {}", resolved.id, model.report()));
    let [batch, height, width] = shape;
    let size = PictureSize { batch, height, width };
    let too_large = || Failure::new("input.size", format!("an output for {shape:?} does not fit the memory"));
    let mut output = vec![0f32; model.output_len(size).ok_or_else(too_large)?];
    model.run(&values, size, &mut output)?;
    let scale = model.scale() as usize;
    let shape = vec![batch, 3, height * scale, width * scale];
    write(&flags.output, &shape, &output, flags.overwrite)?;
    app.console.say(&format!("{}   y {shape:?}", flags.output.display()));
    Ok(())
}

fn unreadable(path: &Path, cause: impl std::fmt::Display) -> Failure {
    Failure::new(
        "input.unreadable",
        format!("{} cannot be read as safetensors", path.display()),
    )
    .cause(cause.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new("input.missing", format!("'{}' does not exist", path.display())),
        _ => unreadable(path, error),
    })?;
    if length.len() > MAX_BYTES {
        return Err(unreadable(
            path,
            format!("{} bytes are more than the {MAX_BYTES} allowed", length.len()),
        ));
    }
    fs::read(path).map_err(|error| unreadable(path, error))
}

/// The one tensor `[3, H, W]` or `[N, 3, H, W]` of floats.
fn image_tensor(bytes: &[u8], path: &Path) -> Result<(String, [usize; 3], Vec<f32>), Failure> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| unreadable(path, error))?;
    let mut images = tensors.tensors().into_iter().filter(|(_, view)| {
        view.dtype() == Dtype::F32 && matches!(view.shape(), [3, _, _] | [_, 3, _, _]) && !view.shape().contains(&0)
    });
    let (Some((name, view)), None) = (images.next(), images.next()) else {
        let found: Vec<String> = tensors
            .tensors()
            .iter()
            .map(|(name, view)| format!("{name} {:?} {:?}", view.dtype(), view.shape()))
            .collect();
        return Err(Failure::new(
            "input.tensors",
            format!("{} must hold one image tensor", path.display()),
        )
        .cause(format!("found: {}", found.join(", ")))
        .hint("an f32 tensor of shape [3, H, W] or [N, 3, H, W], values 0 to 1"));
    };
    let shape = match view.shape() {
        [n, 3, h, w] => [*n, *h, *w],
        shape => [1, shape[1], shape[2]],
    };
    let values = view
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Ok((name, shape, values))
}

fn write(path: &Path, shape: &[usize], values: &[f32], overwrite: bool) -> Result<(), Failure> {
    let failed =
        |cause: String| Failure::new("output.unwritable", format!("{} cannot be written", path.display())).cause(cause);
    let data: &[u8] = bytemuck::cast_slice(values);
    let view = TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(|error| failed(error.to_string()))?;
    let bytes =
        safetensors::serialize(HashMap::from([("y", view)]), None).map_err(|error| failed(error.to_string()))?;
    PartFile::write(path, &bytes, overwrite)?;
    Ok(())
}
