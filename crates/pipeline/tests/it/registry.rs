//! The registry refuses what it must and says what it has.

use kinora_frame::{Image, PixelFormat, Pool};
use kinora_pipeline::{
    Accepts, Descriptor, Filter, NoParams, PipelineBuilder, PipelineError, ProcessorError, Registry, Resources, Stage,
};
use serde_json::{Map, json};

struct Copy;

impl Filter for Copy {
    type Params = NoParams;

    fn descriptor() -> Descriptor {
        Descriptor::plain(
            "copy",
            "the same picture",
            Stage::Preprocessing,
            Accepts::pixels([PixelFormat::GRAY8]),
        )
    }

    fn apply(_params: &NoParams, image: &Image, _pool: &Pool) -> Result<Image, ProcessorError> {
        Ok(image.clone())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register_filter::<Copy>().unwrap();
    registry
}

#[test]
fn a_name_is_registered_once() {
    let mut registry = registry();
    let error = registry.register_filter::<Copy>().unwrap_err();
    assert!(matches!(error, PipelineError::DoubleRegistration { name } if name == "copy"));
    assert_eq!(registry.names().collect::<Vec<_>>(), ["copy"]);
    assert_eq!(registry.schema("copy").unwrap()["additionalProperties"], false);
}

#[test]
fn unknown_names_get_the_nearest_one() {
    let registry = registry();
    let error = registry.descriptor("cpoy").err().unwrap();
    assert_eq!(error.hint().unwrap(), "did you mean 'copy'?");
    let given = json!({"speed": 3}).as_object().unwrap().clone();
    let error = PipelineBuilder::new()
        .node("copy", given)
        .build(&registry, &Resources::default())
        .err()
        .unwrap();
    assert_eq!(error.code(), "pipeline.unknown_key");
}

#[test]
fn the_builder_orders_by_stage_and_numbers_repeats() {
    let pipeline = PipelineBuilder::new()
        .finalize("copy", Map::new())
        .preprocess("copy", Map::new())
        .build(&registry(), &Resources::default())
        .unwrap();
    let ids: Vec<_> = pipeline.nodes().iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["copy", "copy_2"]);
    let error = PipelineBuilder::new()
        .input("copy", Map::new())
        .build(&registry(), &Resources::default())
        .err()
        .unwrap();
    assert_eq!(error.code(), "pipeline.stage_order");
}

#[test]
fn a_list_of_names_keeps_its_order() {
    struct Late;

    impl Filter for Late {
        type Params = NoParams;

        fn descriptor() -> Descriptor {
            Descriptor::plain("late", "a later stage", Stage::Postprocessing, Accepts::anything())
        }

        fn apply(_params: &NoParams, image: &Image, _pool: &Pool) -> Result<Image, ProcessorError> {
            Ok(image.clone())
        }
    }

    let mut registry = registry();
    registry.register_filter::<Late>().unwrap();
    let builder = PipelineBuilder::new().then("late", Map::new()).then("copy", Map::new());
    let pipeline = builder.build(&registry, &Resources::default()).unwrap();
    let ids: Vec<_> = pipeline.nodes().iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["late", "copy"]);
}
