use std::{collections::BTreeMap, fmt::Write as _};

use kinora_frame::{ColorModel, DeviceId, ImageDesc, Layout};

use crate::{Accepts, DependsOn, Order, Pipeline, PipelineError, PortKind, Produces, Ratio, Residency, Restart};

/// What one step of a plan does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Runs node number so-and-so of the pipeline.
    Node(usize),
    /// Changes the layout, in host memory.
    Convert,
    /// Brings the pixels to a device.
    Upload(DeviceId),
    /// Brings the pixels to the host.
    Download,
}

/// One step: what it does, and what enters and leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// The node it runs or prepares for; `output` for the last conversions.
    pub node: String,
    /// What enters.
    pub input: ImageDesc,
    /// What leaves.
    pub output: ImageDesc,
    /// Where the pixels are afterwards; `None` = host.
    pub device: Option<DeviceId>,
}

/// A pipeline laid out for one kind of input: the fewest conversions and crossings between host and devices,
/// as data. What runs it adds threads and clocks.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Steps in order.
    pub steps: Vec<Step>,
    /// What comes in.
    pub input: ImageDesc,
    /// What goes out.
    pub output: ImageDesc,
    /// The widest dependence of any node.
    pub depends_on: DependsOn,
    /// Whether frames may be processed in any order.
    pub order: Order,
    /// True when every frame gives exactly one.
    pub one_to_one: bool,
    /// How work may begin in the middle.
    pub restart: Restart,
    /// Largest batch that any node takes; each node is given as many as it takes.
    pub batch_max: usize,
    /// True when a node does work that an equal frame could spare.
    pub worth_sharing: bool,
}

struct Place {
    desc: ImageDesc,
    device: Option<DeviceId>,
}

impl Plan {
    /// Lays out `pipeline` for pictures like `input` in host memory and a sink that takes `sink`.
    ///
    /// # Errors
    /// [`PipelineError::NoConversion`], [`PipelineError::MissingArtifact`], and what nodes say of such a size.
    pub fn new(pipeline: &Pipeline, input: ImageDesc, sink: &Accepts) -> Result<Self, PipelineError> {
        let mut steps = Vec::new();
        let mut place = Place {
            desc: input,
            device: None,
        };
        let mut known: BTreeMap<&str, (&str, PortKind)> = BTreeMap::new();
        for (index, node) in pipeline.nodes().iter().enumerate() {
            let about = node.processor.descriptor();
            for port in &about.requires {
                match known.get(port.name) {
                    Some((_, found)) if *found == port.kind => {}
                    Some((giver, found)) => {
                        return Err(PipelineError::ArtifactKind {
                            node: node.id.clone(),
                            artifact: port.name.to_owned(),
                            expected: port.kind,
                            giver: (*giver).to_owned(),
                            found: *found,
                        });
                    }
                    None if port.optional => {}
                    None => {
                        return Err(PipelineError::MissingArtifact {
                            node: node.id.clone(),
                            artifact: port.name.to_owned(),
                        });
                    }
                }
            }
            for port in &about.gives {
                if let Some((first, _)) = known.insert(port.name, (&node.id, port.kind)) {
                    return Err(PipelineError::ArtifactTwice {
                        artifact: port.name.to_owned(),
                        first: first.to_owned(),
                        second: node.id.clone(),
                    });
                }
            }
            reach(&mut steps, &mut place, &node.id, &about.accepts)?;
            let mut output =
                node.processor
                    .output(&place.desc, &node.params)
                    .map_err(|error| PipelineError::Processor {
                        node: node.id.clone(),
                        error,
                    })?;
            let device = match &about.produces {
                Produces::Same => place.device.clone(),
                Produces::Fixed { layout, device } => {
                    output.layout = *layout;
                    device.clone()
                }
            };
            steps.push(Step {
                kind: StepKind::Node(index),
                node: node.id.clone(),
                input: place.desc,
                output,
                device: device.clone(),
            });
            place = Place { desc: output, device };
        }
        reach(&mut steps, &mut place, "output", sink)?;

        let about = || pipeline.nodes().iter().map(|node| node.processor.descriptor());
        Ok(Self {
            steps,
            input,
            output: place.desc,
            depends_on: about().map(|about| about.depends_on).max().unwrap_or(DependsOn::Pixels),
            order: if about().any(|about| about.order == Order::InOrder) {
                Order::InOrder
            } else {
                Order::Any
            },
            one_to_one: about().all(|about| about.ratio == Ratio::Exact(kinora_frame::Rational::ONE)),
            restart: about()
                .map(|about| about.restart)
                .fold(Restart::Stateless, wider_restart),
            worth_sharing: about().any(|about| about.cost_hint > 0.0),
            batch_max: about().map(|about| about.batch.max).max().unwrap_or(1),
        })
    }

    /// Uploads and downloads of a frame.
    #[must_use]
    pub fn crossings(&self) -> usize {
        self.steps
            .iter()
            .filter(|step| matches!(step.kind, StepKind::Upload(_) | StepKind::Download))
            .count()
    }

    /// Layout changes of a frame.
    #[must_use]
    pub fn conversions(&self) -> usize {
        self.steps.iter().filter(|step| step.kind == StepKind::Convert).count()
    }

    /// The plan for a person, a line a step.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("input {} {}\n", self.input.size, self.input.layout);
        for step in &self.steps {
            let what = match &step.kind {
                StepKind::Node(_) => step.node.clone(),
                StepKind::Convert => format!("convert {} -> {}", step.input.layout, step.output.layout),
                StepKind::Upload(device) => format!("upload to {device}"),
                StepKind::Download => "download".to_owned(),
            };
            let _ = writeln!(text, "  {what}");
        }
        let _ = writeln!(text, "output {} {}", self.output.size, self.output.layout);
        text
    }
}

/// Adds the fewest steps after which `place` is acceptable.
fn reach(steps: &mut Vec<Step>, place: &mut Place, node: &str, accepts: &Accepts) -> Result<(), PipelineError> {
    let layout_fits = accepts.layouts.is_empty() || accepts.layouts.contains(&place.desc.layout);
    if layout_fits && accepts.residency.allows(place.device.as_ref()) {
        return Ok(());
    }
    let mut push = |kind: StepKind, place: &mut Place, output: ImageDesc, device: Option<DeviceId>| {
        let step = Step {
            kind,
            node: node.to_owned(),
            input: place.desc,
            output,
            device: device.clone(),
        };
        steps.push(step);
        *place = Place { desc: output, device };
    };
    // Layouts change in host memory, so a wrong layout on a device comes down first.
    if place.device.is_some() && (!layout_fits || accepts.residency == Residency::Host) {
        let desc = place.desc;
        push(StepKind::Download, place, desc, None);
    }
    if !layout_fits {
        let wanted = accepts
            .layouts
            .iter()
            .copied()
            .find(|layout| convertible(place.desc.layout, *layout))
            .ok_or_else(|| PipelineError::NoConversion {
                node: node.to_owned(),
                accepts: accepts
                    .layouts
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" or "),
                found: place.desc.layout.to_string(),
            })?;
        let output = ImageDesc {
            layout: wanted,
            ..place.desc
        };
        push(StepKind::Convert, place, output, None);
    }
    if let Residency::Device(device) = &accepts.residency
        && place.device.as_ref() != Some(device)
    {
        let desc = place.desc;
        if place.device.is_some() {
            push(StepKind::Download, place, desc, None);
        }
        push(StepKind::Upload(device.clone()), place, desc, Some(device.clone()));
    }
    Ok(())
}

fn convertible(from: Layout, to: Layout) -> bool {
    let colors = |layout: Layout| match layout {
        Layout::Pixels(format) if format.model == ColorModel::Gray => 1,
        Layout::Pixels(_) => 3,
        Layout::Tensor { channels, .. } => channels,
    };
    // Grey widens to colour; colour narrows to grey only where somebody asks for grey pixels.
    matches!((colors(from), colors(to)), (1 | 3, 3) | (1, 1)) || matches!((colors(from), to), (3, Layout::Pixels(_)))
}

fn wider_restart(a: Restart, b: Restart) -> Restart {
    match (a, b) {
        (Restart::Saved, _) | (_, Restart::Saved) => Restart::Saved,
        (Restart::Warmup { frames: f, exact: e }, Restart::Warmup { frames: g, exact: h }) => Restart::Warmup {
            frames: f + g,
            exact: e && h,
        },
        (Restart::Warmup { frames, exact }, Restart::Stateless)
        | (Restart::Stateless, Restart::Warmup { frames, exact }) => Restart::Warmup { frames, exact },
        (Restart::Stateless, Restart::Stateless) => Restart::Stateless,
    }
}
