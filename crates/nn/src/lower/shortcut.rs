//! `pixel_shuffle(p) + nearest(x)`, the last step of many enlarging networks, with the sum before the shuffle.
//!
//! Every pixel of `x` goes to the `r * r` channels of `p` that become its pixels: a convolution of one pixel, which
//! runtimes fuse with the sum. The same numbers are added, so the result is the same; two passes over the enlarged
//! picture are saved.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use super::proto::Attribute::{Int, Ints, Text};
use crate::Dim;
use crate::error::Result;
use crate::net::{Net, Node};
use crate::op::{BinaryOp, Interpolation, Op, ResizeTo, Scale, ShuffleOrder, Value};

/// Most channels of the picture and most pixels a side that one becomes. The kernel has a number for each pair of a
/// channel and a channel of `p`: for more than a picture's channels, the shortcut costs more than the passes that it
/// saves, and a file that states enormous counts would have it take all memory.
const MAX_CHANNELS: usize = 16;
const MAX_FACTOR: usize = 16;

/// The sums that are taken before the shuffle, and the nodes that they make needless.
#[derive(Default)]
pub(super) struct Shortcuts {
    sums: HashMap<Value, Shortcut>,
    needless: HashSet<Value>,
}

#[derive(Clone, Copy)]
struct Shortcut {
    picture: Value,
    channels: usize,
    packed: Value,
    factor: usize,
    order: ShuffleOrder,
}

impl Shortcuts {
    /// Finds them: both operands are used by the sum alone, and are no output of the network.
    pub(super) fn find(net: &Net) -> Self {
        let mut uses: HashMap<Value, usize> = HashMap::new();
        let outputs = net.outputs.iter().map(|(_, v)| v);
        for v in net.nodes.iter().flat_map(|n| &n.inputs).chain(outputs) {
            *uses.entry(*v).or_default() += 1;
        }
        let makers: HashMap<Value, &Node> = net
            .nodes
            .iter()
            .flat_map(|n| n.outputs.iter().map(move |v| (*v, n)))
            .collect();
        let mut found = Self::default();
        for sum in &net.nodes {
            let (Op::Binary(BinaryOp::Add, None), [a, b], [out]) = (&sum.op, &*sum.inputs, &*sum.outputs) else {
                continue;
            };
            let either = [(a, b), (b, a)];
            let shortcut = either
                .iter()
                .filter(|pair| uses.get(pair.0) == Some(&1) && uses.get(pair.1) == Some(&1))
                .find_map(|(shuffled, enlarged)| shortcut(net, makers.get(*shuffled)?, makers.get(*enlarged)?));
            if let Some(shortcut) = shortcut {
                found.sums.insert(*out, shortcut);
                found.needless.extend([*a, *b]);
            }
        }
        found
    }

    /// Lowers a node that belongs to a shortcut; `false` for others.
    pub(super) fn lower(&self, g: &mut Graph<'_>, node: &Node) -> Result<bool> {
        let [out] = &*node.outputs else { return Ok(false) };
        if self.needless.contains(out) {
            return Ok(true);
        }
        let Some(s) = self.sums.get(out) else { return Ok(false) };
        let area = s.factor * s.factor;
        let rows = s.channels * area;
        let mut kernel = vec![0.0; rows * s.channels];
        for row in 0..rows {
            let channel = match s.order {
                ShuffleOrder::ChannelsOutermost => row / area,
                ShuffleOrder::ChannelsInnermost => row % s.channels,
            };
            kernel[row * s.channels + channel] = 1.0;
        }
        let (name, mode) = match s.order {
            ShuffleOrder::ChannelsOutermost => ("spread", "CRD"),
            ShuffleOrder::ChannelsInnermost => ("tiled", "DCR"),
        };
        let kernel = g.derived(
            &format!("{name}_{}_{}", s.channels, s.factor),
            &[rows, s.channels, 1, 1],
            &kernel,
        )?;
        let (picture, packed, out) = (g.name(s.picture), g.name(s.packed), g.name(*out));
        let spread = g.node("Conv", &[picture, kernel], &[("kernel_shape", Ints(vec![1, 1]))]);
        let sum = g.node("Add", &[packed, spread], &[]);
        let attributes = [("blocksize", Int(s.factor as i64)), ("mode", Text(mode))];
        g.node_to("DepthToSpace", &[sum], &out, &attributes);
        Ok(true)
    }
}

fn shortcut(net: &Net, shuffle: &Node, enlarge: &Node) -> Option<Shortcut> {
    let Op::PixelShuffle { factor, order } = shuffle.op else {
        return None;
    };
    let whole = ResizeTo::Scale(Scale { num: factor, den: 1 });
    match enlarge.op {
        Op::Resize {
            mode: Interpolation::Nearest,
            to,
            ..
        } if to == [whole, whole] => {}
        _ => return None,
    }
    let (picture, packed) = (*enlarge.inputs.first()?, *shuffle.inputs.first()?);
    let (picture_shape, packed_shape) = (&net.types[picture.0].shape, &net.types[packed.0].shape);
    let channels = picture_shape.get(1).and_then(Dim::known)?;
    // One picture that is added to each of a batch, or one channel to three, stays a sum of its own.
    let same = [0, 2, 3].iter().all(|i| picture_shape.get(*i) == packed_shape.get(*i));
    let fits = packed_shape.get(1).and_then(Dim::known)? == channels * factor * factor;
    let small = channels <= MAX_CHANNELS && factor <= MAX_FACTOR;
    (same && fits && small).then_some(Shortcut {
        picture,
        channels,
        packed,
        factor,
        order,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, NetBuilder};

    fn sums(channels: usize) -> usize {
        let mut b = NetBuilder::new("sums");
        let shape = |channels: usize| [1.into(), channels.into(), Dim::symbol("height"), Dim::symbol("width")];
        let picture = b.input("picture", DType::F32, &shape(channels)).unwrap();
        let packed = b.input("packed", DType::F32, &shape(4 * channels)).unwrap();
        let shuffled = b.pixel_shuffle(packed, 2).unwrap();
        let twice = [ResizeTo::Scale(Scale { num: 2, den: 1 }); 2];
        let enlarged = b.resize(picture, Interpolation::Nearest, twice).unwrap();
        let sum = b.add(shuffled, enlarged).unwrap();
        b.output("sum", sum).unwrap();
        let net = b.build().unwrap();
        // Lowers, whatever the channels are: a kernel for the last case would have 2^42 numbers.
        crate::lower(&net, crate::Form::Cpu).unwrap();
        Shortcuts::find(&net).sums.len()
    }

    #[test]
    fn only_a_picture_takes_the_shortcut() {
        assert_eq!([1, 3, 16].map(sums), [1; 3]);
        assert_eq!([17, 1 << 20].map(sums), [0; 2]);
    }
}
