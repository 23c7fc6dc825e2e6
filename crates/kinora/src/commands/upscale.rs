use kinora_frame::Size;
use kinora_models::zoo::{self, Content, ResolvedModel};
use serde_json::{Map, Value as Json, json};

use super::{
    clip::{Clip, input_and_output},
    job::{JobPlan, JobSettings, run_clip, wanted},
    stills::{Pictures, pictures_of, run_stills},
};
use crate::{
    app::App,
    cli::{SizeFlags, Upscale},
    failure::Failure,
};

/// Factors that the default networks have, smallest first.
const FACTORS: [u32; 3] = [2, 3, 4];

pub(crate) fn run(app: &App, flags: &Upscale) -> Result<(), Failure> {
    let (input, output) = input_and_output(&flags.io, "upscale")?;
    let settings = JobSettings {
        io: &flags.io,
        set: &flags.set,
        with: &flags.with,
        plan_to: None,
    };
    if let Some(files) = pictures_of(&input)? {
        let pictures = Pictures::open(&input, files)?;
        let plan = plan(app, flags, pictures.size())?;
        return run_stills(app, &input, pictures, output, plan, &settings);
    }
    let clip = Clip::open(app, &input, &flags.io)?;
    let plan = plan(app, flags, clip.facts.size)?;
    run_clip(app, &clip, output, plan, &settings)
}

/// The network and, where its factor is not the one wanted, the resampling behind it.
pub(crate) fn plan(app: &App, flags: &Upscale, from: Size) -> Result<JobPlan, Failure> {
    let folders = app.folders()?;
    let mut notes = Vec::new();
    let (model, name) = match &flags.model {
        // The words of the user mean to the processor what they mean here, whatever the catalogue calls the file.
        Some(name) => (zoo::resolve(name, &folders)?, name.clone()),
        None => {
            let (model, content) = default_model(app, flags, from)?;
            let what = if content == Content::Anime {
                "animation"
            } else {
                "photographs and film"
            };
            notes.push(format!(
                "{} is the default for {what}; --model NAME takes another",
                model.id
            ));
            let id = model.id.clone();
            (model, id)
        }
    };
    let native = model.spec.scale;
    let target = wanted_size(&flags.size, from)?;
    let mut upscale = Map::new();
    upscale.insert("model".to_owned(), Json::String(name));
    if let Some(strength) = flags.strength {
        upscale.insert("strength".to_owned(), json!(strength));
    }
    let mut nodes = vec![("upscale".to_owned(), upscale, None)];
    let scale = native.map(f64::from);
    if let Some(target) = target
        && native.and_then(|native| from.scaled(native)) != Some(target)
    {
        let mut resize = Map::new();
        resize.insert("width".to_owned(), target.width.into());
        resize.insert("height".to_owned(), target.height.into());
        if let Some(native) = native
            && from
                .scaled(native)
                .is_some_and(|own| own.width < target.width || own.height < target.height)
        {
            notes.push(format!("the network gives {native}x, the rest is resampled"));
        }
        nodes.push(("resize".to_owned(), resize, None));
    }
    let asked = flags.size.scale.map(|scale| scale.0);
    let by_height = target.map(|target| f64::from(target.height) / f64::from(from.height));
    Ok(JobPlan {
        nodes: wanted(nodes),
        scale: asked.or(by_height).or(scale),
        model: Some(model.id),
        pipeline: "upscale".to_owned(),
        notes,
    })
}

/// The smallest default network that reaches the wanted factor.
fn default_model(app: &App, flags: &Upscale, from: Size) -> Result<(ResolvedModel, Content), Failure> {
    let content = if flags.preset.as_deref() == Some("anime") {
        Content::Anime
    } else {
        Content::Photo
    };
    let wanted = match wanted_size(&flags.size, from)? {
        Some(target) => {
            (f64::from(target.width) / f64::from(from.width)).max(f64::from(target.height) / f64::from(from.height))
        }
        None => 2.0,
    };
    let factors = FACTORS
        .into_iter()
        .filter(|factor| zoo::default_for(*factor, content).is_some());
    let reached = factors
        .clone()
        .find(|factor| f64::from(*factor) >= wanted - 1e-6)
        .or_else(|| factors.max());
    let id = reached
        .and_then(|factor| zoo::default_for(factor, content))
        .ok_or_else(|| {
            Failure::new("model.unknown", "there is no default network for this")
                .hint("--model NAME; kinora models list")
        })?;
    Ok((zoo::resolve(id, &app.folders()?)?, content))
}

/// The size that the flags ask for; `None` means the network's own factor.
fn wanted_size(flags: &SizeFlags, from: Size) -> Result<Option<Size>, Failure> {
    let side = |v: f64| v.round().clamp(1.0, f64::from(Size::MAX_SIDE)) as u32;
    let (width, height) = (f64::from(from.width), f64::from(from.height));
    let by = |factor: f64| Size::new(side(width * factor), side(height * factor));
    let target = if let Some(scale) = flags.scale {
        Some(by(scale.0))
    } else if let Some(size) = flags.size {
        Some(size.0)
    } else if let Some(rows) = flags.height {
        Some(by(f64::from(rows) / height))
    } else {
        flags.short_side.map(|short| by(f64::from(short) / width.min(height)))
    };
    if let Some(target) = target
        && (target.check().is_err() || target.pixels() > 1 << 30)
    {
        return Err(Failure::usage(format!("an output of {target} is too large")));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{PictureSize, ScaleFactor};

    #[test]
    fn one_flag_decides_the_size() {
        let from = Size::new(640, 360);
        let size = |flags: SizeFlags| wanted_size(&flags, from).unwrap();
        assert_eq!(size(SizeFlags::default()), None);
        assert_eq!(
            size(SizeFlags {
                scale: Some(ScaleFactor(1.5)),
                ..Default::default()
            }),
            Some(Size::new(960, 540))
        );
        assert_eq!(
            size(SizeFlags {
                height: Some(1080),
                ..Default::default()
            }),
            Some(Size::new(1920, 1080))
        );
        assert_eq!(
            size(SizeFlags {
                short_side: Some(720),
                ..Default::default()
            }),
            Some(Size::new(1280, 720))
        );
        let exact = PictureSize(Size::new(100, 100));
        assert_eq!(
            size(SizeFlags {
                size: Some(exact),
                ..Default::default()
            }),
            Some(Size::new(100, 100))
        );
    }
}
