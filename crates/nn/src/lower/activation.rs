use super::Form;
use super::graph::Graph;
use super::proto::Attribute;
use crate::error::Result;
use crate::op::Activation;
use crate::{Dim, Weight};

/// Applies an activation to `x`; the result is named `output` where it is given.
pub(super) fn activate(g: &mut Graph<'_>, activation: Activation, x: String, output: Option<&str>) -> String {
    let out = output.map_or_else(|| g.fresh("act"), str::to_owned);
    match activation {
        Activation::None => match output {
            Some(_) => g.node_to("Identity", &[x], &out, &[]),
            None => return x,
        },
        Activation::Relu => g.node_to("Relu", &[x], &out, &[]),
        Activation::LeakyRelu(slope) => g.node_to("LeakyRelu", &[x], &out, &[("alpha", Attribute::Float(slope))]),
        Activation::Clip(low, high) => {
            let (low, high) = (g.scalar(low), g.scalar(high));
            g.node_to("Clip", &[x, low, high], &out, &[]);
        }
        Activation::Sigmoid => g.node_to("Sigmoid", &[x], &out, &[]),
        Activation::Silu => {
            // The CPU provider fuses this pair into one kernel.
            let gate = g.node("Sigmoid", std::slice::from_ref(&x), &[]);
            g.node_to("Mul", &[x, gate], &out, &[]);
        }
        Activation::Mish => {
            let soft = g.node("Softplus", std::slice::from_ref(&x), &[]);
            let gate = g.node("Tanh", &[soft], &[]);
            g.node_to("Mul", &[x, gate], &out, &[]);
        }
        Activation::HardSwish { alpha, beta } => {
            let gate = g.node(
                "HardSigmoid",
                std::slice::from_ref(&x),
                &[("alpha", Attribute::Float(alpha)), ("beta", Attribute::Float(beta))],
            );
            g.node_to("Mul", &[x, gate], &out, &[]);
        }
        Activation::Tanh => g.node_to("Tanh", &[x], &out, &[]),
    }
    out
}

/// Leaky ReLU with a slope for each channel.
///
/// The CPU provider has no blocked-layout kernel for PRelu, so every PRelu costs two reorders.
/// `prelu(x) = x + (1 - slope) * relu(-x)` holds for any slope, and its two products are depthwise 1x1 convolutions that
/// stay in the blocked layout; where all slopes are one number it is LeakyRelu.
pub(super) fn prelu(g: &mut Graph<'_>, slopes: &Weight, x: String, shape: &[Dim], out: &str) -> Result<()> {
    let values = slopes.values();
    let channels = shape.get(1).and_then(Dim::known).unwrap_or(values.len());
    if g.form() == Form::Cpu && shape.len() == 4 {
        if let Some((first, rest)) = values.split_first()
            && rest.iter().all(|s| s == first)
        {
            g.node_to("LeakyRelu", &[x], out, &[("alpha", Attribute::Float(*first))]);
            return Ok(());
        }
        if values.len() == channels {
            let depthwise = [
                ("group", Attribute::Int(channels as i64)),
                ("kernel_shape", Attribute::Ints(vec![1, 1])),
            ];
            let minus = g.derived(
                &format!("minus_{channels}"),
                &[channels, 1, 1, 1],
                &vec![-1.0; channels],
            )?;
            let turned = g.node("Conv", &[x.clone(), minus], &depthwise);
            let below = g.node("Relu", &[turned], &[]);
            let rest: Vec<f32> = values.iter().map(|s| 1.0 - s).collect();
            let rest = g.derived(&format!("{}_rest", slopes.name()), &[channels, 1, 1, 1], &rest)?;
            let part = g.node("Conv", &[below, rest], &depthwise);
            g.node_to("Add", &[part, x], out, &[]);
            return Ok(());
        }
    }
    let mut dims = vec![values.len()];
    dims.resize(shape.len().saturating_sub(1).max(1), 1);
    let slope = g.weight(slopes, &dims)?;
    g.node_to("PRelu", &[x, slope], out, &[]);
    Ok(())
}
