use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::{Params, PipelineError, Processor, Registry, Resources, Stage};

/// A processor in its place, with its parameters.
#[derive(Clone)]
pub struct Node {
    /// Name in the pipeline: the processor's, with a number from the second on (`canny`, `canny_2`).
    pub id: String,
    /// The loaded instance.
    pub processor: Arc<dyn Processor>,
    /// Its parameters now.
    pub params: Params,
}

/// A linear pipeline of loaded processors.
#[derive(Clone, Default)]
pub struct Pipeline {
    nodes: Vec<Node>,
}

impl Pipeline {
    /// A pipeline of nodes that are already made; stages must not go backwards.
    ///
    /// # Errors
    /// [`PipelineError::StageOrder`].
    pub fn new(nodes: Vec<Node>) -> Result<Self, PipelineError> {
        for pair in nodes.windows(2) {
            if let [first, second] = pair {
                let (first_stage, second_stage) =
                    (first.processor.descriptor().stage, second.processor.descriptor().stage);
                if first_stage > second_stage {
                    return Err(PipelineError::StageOrder {
                        later: first.id.clone(),
                        later_stage: first_stage.name(),
                        earlier: second.id.clone(),
                        earlier_stage: second_stage.name(),
                    });
                }
            }
        }
        Ok(Self { nodes })
    }

    /// The nodes in running order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The parameters of all nodes now: the snapshot that a frame carries.
    #[must_use]
    pub fn snapshot(&self) -> Arc<[Params]> {
        self.nodes.iter().map(|node| node.params.clone()).collect()
    }
}

/// Where a processor was put.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In its own stage.
    Own,
    /// In this stage.
    Stage(Stage),
    /// Behind what was put so before.
    Behind,
}

/// Collects processors stage by stage and loads them.
#[derive(Clone, Debug, Default)]
pub struct PipelineBuilder {
    wanted: Vec<(Place, String, Map<String, Json>)>,
}

impl PipelineBuilder {
    /// An empty pipeline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a processor at the end of whatever stage it belongs to.
    #[must_use]
    pub fn node(self, name: &str, params: Map<String, Json>) -> Self {
        self.add(Place::Own, name, params)
    }

    /// Adds a processor behind all that were added so: its stage is its own or that of the one before, whichever is
    /// later. What a list of names means.
    #[must_use]
    pub fn then(mut self, name: &str, params: Map<String, Json>) -> Self {
        self.wanted.push((Place::Behind, name.to_owned(), params));
        self
    }

    /// Adds a processor to input processing.
    #[must_use]
    pub fn input(self, name: &str, params: Map<String, Json>) -> Self {
        self.add(Place::Stage(Stage::InputProcessing), name, params)
    }

    /// Adds a processor to preprocessing.
    #[must_use]
    pub fn preprocess(self, name: &str, params: Map<String, Json>) -> Self {
        self.add(Place::Stage(Stage::Preprocessing), name, params)
    }

    /// Adds a processor to generation.
    #[must_use]
    pub fn generate(self, name: &str, params: Map<String, Json>) -> Self {
        self.add(Place::Stage(Stage::Generation), name, params)
    }

    /// Adds a processor to postprocessing.
    #[must_use]
    pub fn postprocess(self, name: &str, params: Map<String, Json>) -> Self {
        self.add(Place::Stage(Stage::Postprocessing), name, params)
    }

    /// Adds a processor to finalization.
    #[must_use]
    pub fn finalize(self, name: &str, params: Map<String, Json>) -> Self {
        self.add(Place::Stage(Stage::Finalization), name, params)
    }

    fn add(mut self, place: Place, name: &str, params: Map<String, Json>) -> Self {
        self.wanted.push((place, name.to_owned(), params));
        self
    }

    /// Checks everything first, then loads the processors. A processor may stand in a later stage than its own
    /// (grading after enlarging), never in an earlier one.
    ///
    /// # Errors
    /// Unknown processors and parameters, a stage before the processor's own, and the processors' own errors.
    pub fn build(&self, registry: &Registry, resources: &Resources) -> Result<Pipeline, PipelineError> {
        let mut checked = Vec::with_capacity(self.wanted.len());
        let mut reached = Stage::InputProcessing;
        for (place, name, given) in &self.wanted {
            let own = registry.descriptor(name)?.stage;
            let stage = match place {
                Place::Own => own,
                Place::Stage(stage) => *stage,
                Place::Behind => {
                    reached = reached.max(own);
                    reached
                }
            };
            if stage < own {
                return Err(PipelineError::StageOrder {
                    later: name.clone(),
                    later_stage: own.name(),
                    earlier: "what follows it".to_owned(),
                    earlier_stage: stage.name(),
                });
            }
            checked.push((stage, name, registry.parse(name, given)?));
        }
        checked.sort_by_key(|(stage, ..)| *stage);
        let mut nodes: Vec<Node> = Vec::with_capacity(checked.len());
        for (_, name, params) in checked {
            let before = nodes
                .iter()
                .filter(|node| node.processor.descriptor().name == name)
                .count();
            let id = if before == 0 {
                name.clone()
            } else {
                format!("{name}_{}", before + 1)
            };
            nodes.push(Node {
                id,
                processor: registry.make(name, &params, resources)?,
                params,
            });
        }
        Ok(Pipeline { nodes })
    }
}
