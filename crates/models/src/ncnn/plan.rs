//! Which arrays of the weights file belong to a layer, and what shape they have in the network.

use std::borrow::Cow;
use std::path::Path;

use super::bin::{BinReader, Span};
use super::param::Layer;
use crate::error::Result;

/// Count that says: the scale is the second input.
pub(super) const FROM_INPUT: i64 = -233;

/// An array of the file and what it becomes.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Name in the network.
    pub(super) name: String,
    /// Shape in the network.
    pub(super) shape: Vec<usize>,
    span: Span,
    /// First two sides change places: transposed convolutions are stored output channels first.
    swapped: bool,
}

impl Planned {
    /// Values in the order of `shape`.
    pub(super) fn values(&self, bytes: &[u8]) -> Cow<'static, [f32]> {
        let values = self.span.decode(bytes);
        let &[into, out, kh, kw] = self.shape.as_slice() else {
            return values.into();
        };
        if !self.swapped {
            return values.into();
        }
        let taps = kh * kw;
        let mut swapped = Vec::with_capacity(values.len());
        for i in 0..into {
            for o in 0..out {
                let from = (o * into + i) * taps;
                swapped.extend_from_slice(values.get(from..from + taps).unwrap_or_default());
            }
        }
        swapped.into()
    }
}

/// Reads the arrays of layer number `index`.
pub(super) fn plan(path: &Path, index: usize, layer: &Layer, bin: &mut BinReader<'_>) -> Result<Vec<Planned>> {
    let named = |what: &str, shape: Vec<usize>, span: Span| Planned {
        name: format!("{index}.{}.{what}", layer.name),
        shape,
        span,
        swapped: false,
    };
    let mut list = Vec::new();
    match layer.kind.as_str() {
        "Convolution" | "ConvolutionDepthWise" | "Deconvolution" => {
            let (out, kw, count) = (
                layer.size(path, 0, 0)?,
                layer.size(path, 1, 0)?,
                layer.size(path, 6, 0)?,
            );
            let kh = layer.size(path, 11, kw)?;
            let per_input = out.checked_mul(kh).and_then(|n| n.checked_mul(kw)).unwrap_or(0);
            if per_input == 0 || count == 0 || count % per_input != 0 {
                return Err(layer.bad(
                    path,
                    format!("a weight count in multiples of {out} outputs x {kh} x {kw}"),
                    count.to_string(),
                ));
            }
            let inputs = count / per_input;
            let span = bin.tagged(layer, count)?;
            if layer.kind == "Deconvolution" {
                let swapped = Planned {
                    swapped: true,
                    ..named("weight", vec![inputs, out, kh, kw], span)
                };
                list.push(swapped);
            } else {
                list.push(named("weight", vec![out, inputs, kh, kw], span));
            }
            if layer.int(path, 5, 0)? != 0 {
                list.push(named("bias", vec![out], bin.raw(layer, out)?));
            }
        }
        "InnerProduct" => {
            let (out, count) = (layer.size(path, 0, 0)?, layer.size(path, 2, 0)?);
            if out == 0 || count == 0 || count % out != 0 {
                return Err(layer.bad(
                    path,
                    format!("a weight count in multiples of {out} outputs"),
                    count.to_string(),
                ));
            }
            list.push(named("weight", vec![out, count / out], bin.tagged(layer, count)?));
            if layer.int(path, 1, 0)? != 0 {
                list.push(named("bias", vec![out], bin.raw(layer, out)?));
            }
        }
        "PReLU" => {
            let count = positive(path, layer, 0)?;
            list.push(named("slope", vec![count], bin.raw(layer, count)?));
        }
        "MemoryData" => {
            let shape = match (
                layer.size(path, 0, 0)?,
                layer.size(path, 1, 0)?,
                layer.size(path, 2, 0)?,
            ) {
                (w @ 1.., 0, 0) => vec![1, w, 1, 1],
                (w @ 1.., h @ 1.., 0) => vec![1, 1, h, w],
                (w @ 1.., h @ 1.., c @ 1..) => vec![1, c, h, w],
                other => return Err(layer.bad(path, "a size w, w h or w h c", format!("{other:?}"))),
            };
            let count = kinora_nn::element_count(&shape).unwrap_or(usize::MAX);
            let span = bin.raw(layer, count)?;
            list.push(named("data", shape, span));
        }
        "Scale" if layer.int(path, 0, 0)? != FROM_INPUT => {
            let count = positive(path, layer, 0)?;
            list.push(named("scale", vec![1, count, 1, 1], bin.raw(layer, count)?));
            if layer.int(path, 1, 0)? != 0 {
                list.push(named("bias", vec![1, count, 1, 1], bin.raw(layer, count)?));
            }
        }
        _ => {}
    }
    debug_assert!(
        list.iter()
            .all(|p| kinora_nn::element_count(&p.shape) == Some(p.span.count()))
    );
    Ok(list)
}

fn positive(path: &Path, layer: &Layer, key: u32) -> Result<usize> {
    match layer.size(path, key, 0)? {
        0 => Err(layer.bad(path, format!("a count of at least 1 for parameter {key}"), "0")),
        n => Ok(n),
    }
}
