//! Pictures instead of a video: one file, or a folder of files of one size.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kinora_engine::{FrameSource, StillsSink, StillsSource};
use kinora_frame::{Layout, PixelFormat, Pool, Rational, Size};
use kinora_media::{ImageSequence, JPEG_QUALITY, MAX_PIXELS, StillFormat, list_stills};
use kinora_pipeline::Accepts;
use serde_json::json;

use super::{
    job::{JobPlan, JobSettings, check_output, check_parent, execute, load_pipeline, offline_job},
    output_name::{NameParts, default_output},
    place::Place,
    telling::{ReportFile, chosen, say_chosen, say_duplicates, tell},
};
use crate::{
    app::App,
    cli::ProgressStyle,
    failure::{Failure, write_code},
    show::count,
};

/// The pictures of an input; `None` for a video.
pub(crate) fn pictures_of(input: &Path) -> Result<Option<Vec<PathBuf>>, Failure> {
    if input.is_dir() {
        return Ok(Some(list_stills(input)?));
    }
    // An animation has the extension of a picture and is a clip.
    let still = StillFormat::of(input).is_some() && StillFormat::sniff(input).is_some();
    let animated = still && kinora_media::is_animation(input);
    Ok((still && !animated).then(|| vec![input.to_path_buf()]))
}

/// The pictures of a job, the first one read.
pub(crate) struct Pictures {
    source: StillsSource,
    files: Vec<PathBuf>,
    pool: Pool,
}

impl Pictures {
    pub(crate) fn open(input: &Path, files: Vec<PathBuf>) -> Result<Self, Failure> {
        let pool = Pool::default();
        let sequence = ImageSequence::new(files.clone(), Rational::ONE, pool.clone(), MAX_PIXELS)?;
        let source = StillsSource::new(sequence, input.to_path_buf(), pool.clone())?;
        Ok(Self { source, files, pool })
    }

    /// Size of the first picture.
    pub(crate) fn size(&self) -> Size {
        self.source.image().size
    }
}

/// Sends pictures through a pipeline, each into a file of its own name.
pub(crate) fn run_stills(
    app: &App,
    input: &Path,
    pictures: Pictures,
    output: Option<PathBuf>,
    mut plan: JobPlan,
    settings: &JobSettings<'_>,
) -> Result<(), Failure> {
    let Pictures { source, files, pool } = pictures;
    if settings.io.start.is_some() || settings.io.end.is_some() || settings.io.duration.is_some() {
        return Err(Failure::usage("--start, --end and --duration are for videos"));
    }
    let encode = &settings.with.encode;
    let names_an_encoder = encode.codec.is_some()
        || encode.crf.is_some()
        || encode.bitrate.is_some()
        || encode.encoder_preset.is_some()
        || encode.pixel_format.is_some()
        || !encode.encoder_option.is_empty();
    if names_an_encoder {
        return Err(
            Failure::new("usage.conflict", "encoder flags are for videos; pictures stay pictures")
                .hint("the name of the output decides: .png, .jpg, .webp or .tiff"),
        );
    }
    let place = Place {
        pool,
        ..Place::new(&settings.with.place)?
    };
    let overwrite = settings.io.overwrite;
    let (folder, targets) = targets(input, &files, output, &plan, settings)?;
    let in_folder = input.is_dir();
    if let [target] = targets.as_slice()
        && !in_folder
    {
        check_output(target, input, overwrite)?;
    } else if let Some(there) = targets.iter().find(|target| target.exists() && !overwrite) {
        return Err(
            Failure::new("output.exists", format!("{} exists already", there.display()))
                .hint("--overwrite replaces it, --output NAME writes elsewhere"),
        );
    }
    let taken = files.iter().chain(&targets).chain([&folder]).map(PathBuf::as_path);
    let report_file = ReportFile::promised(settings, taken)?;
    let pipeline = load_pipeline(app, &mut plan, settings.set, &place, &settings.with.place)?;
    let format = target_format(&source, &targets)?;
    let job = offline_job(&pipeline, Accepts::pixels([format]), &place, &settings.with.picture);
    let laid_out = job.plan(&source)?;
    for still in targets.iter().filter_map(|target| StillFormat::of(target)) {
        still.check_size(laid_out.output.size)?;
    }

    let console = &app.console;
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let image = source.image();
    let pictures = match targets.len() as u64 {
        _ if !in_folder => String::new(),
        1 => "  1 picture".to_owned(),
        n => format!("  {} pictures", count(n)),
    };
    console.say(&format!("{name}   {}  {}{pictures}", image.size, image.layout));
    say_chosen(app, &pipeline);
    let shown = match targets.first() {
        Some(target) if !in_folder => target.clone(),
        _ => folder.clone(),
    };
    console.say(&format!(
        "  output     {}  {}  {format}",
        shown.display(),
        laid_out.output.size
    ));
    for note in &plan.notes {
        console.say(&format!("  note       {note}"));
    }
    if targets.len() > 1 {
        say_duplicates(app, &job, &laid_out);
    }
    if matches!(image.layout, Layout::Pixels(from) if from.alpha) && !format.alpha {
        console.warn(
            "output.note",
            "this picture format has no opacity: it is lost",
            Some("write .png, .webp or .tiff"),
        );
    }
    if console.style() == ProgressStyle::Json {
        let size = laid_out.output.size;
        let fields = json!({
            "input": {
                "path": input.to_string_lossy(), "width": image.size.width, "height": image.size.height, "frames": targets.len(),
                "frames_exact": true, "pixel_format": image.layout.to_string(),
            },
            "output": {"path": shown.to_string_lossy(), "width": size.width, "height": size.height},
            "model": plan.model,
            "chosen": chosen(&pipeline),
        });
        console.event("plan", &fields);
    }
    if settings.with.job.dry_run {
        for line in laid_out.to_text().lines() {
            console.say(&format!("  {line}"));
        }
        console.say("dry run: nothing was written");
        return Ok(());
    }
    if in_folder {
        fs::create_dir_all(&folder).map_err(|error| {
            let message = format!("the folder {} cannot be made", folder.display());
            Failure::new(write_code(&error), message).cause(error.to_string())
        })?;
    }
    let sink = StillsSink::new(targets, shown, source.icc_profile(), JPEG_QUALITY, overwrite);
    let report = execute(app, &job, Box::new(source), Box::new(sink), &name)?;
    let name = report
        .sink
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    tell(app, &report, &name);
    if let Some(file) = report_file {
        file.write(
            &report,
            &plan,
            &pipeline,
            json!({"path": input.to_string_lossy(), "pictures": report.frames_in}),
        )?;
    }
    Ok(())
}

/// The output folder and one file for each picture.
fn targets(
    input: &Path,
    files: &[PathBuf],
    output: Option<PathBuf>,
    plan: &JobPlan,
    settings: &JobSettings<'_>,
) -> Result<(PathBuf, Vec<PathBuf>), Failure> {
    let parts = |extension: String| NameParts {
        scale: plan.scale,
        model: plan.model.as_deref(),
        pipeline: &plan.pipeline,
        extension,
    };
    let extension = |file: &Path| format!(".{}", file.extension().unwrap_or_default().to_string_lossy());
    if !input.is_dir() {
        let file = match output {
            Some(output) if !output.is_dir() => output,
            folder => {
                let name = default_output(input, settings.io.name.as_deref(), &parts(extension(input)))?;
                folder.map_or_else(
                    || name.clone(),
                    |folder| folder.join(name.file_name().unwrap_or_default()),
                )
            }
        };
        if StillFormat::of(&file).is_none() {
            return Err(Failure::usage(format!("{} is no picture's name", file.display()))
                .hint("png, jpg, webp and tiff are written"));
        }
        return Ok((file.parent().map(Path::to_owned).unwrap_or_default(), vec![file]));
    }
    let folder = match output {
        Some(output) => output,
        None => default_output(input, settings.io.name.as_deref(), &parts(String::new()))?,
    };
    let inside = folder
        .canonicalize()
        .is_ok_and(|folder| input.canonicalize().is_ok_and(|input| folder == input));
    if inside {
        return Err(
            Failure::new("output.is_input", format!("{} is the input folder", folder.display()))
                .hint("--output NAME writes elsewhere"),
        );
    }
    let targets = files
        .iter()
        .map(|file| folder.join(file.file_name().unwrap_or_default()))
        .collect();
    // The folder is made later; its parent must be there now.
    check_parent(&folder)?;
    Ok((folder, targets))
}

/// The pixel format of the files: the pictures' own where the file format has it.
fn target_format(source: &StillsSource, targets: &[PathBuf]) -> Result<PixelFormat, Failure> {
    let own = match source.image().layout {
        Layout::Pixels(format) => format,
        Layout::Tensor { .. } => PixelFormat::RGB24,
    };
    let takes = |format: PixelFormat| {
        targets
            .iter()
            .all(|target| StillFormat::of(target).is_some_and(|still| still.takes().contains(&format)))
    };
    let opaque = PixelFormat { alpha: false, ..own };
    let eight = PixelFormat { bits: 8, ..own };
    [own, opaque, eight, PixelFormat::RGBA, PixelFormat::RGB24]
        .into_iter()
        .find(|format| {
            takes(*format)
                && (format.model == own.model || *format == PixelFormat::RGB24 || *format == PixelFormat::RGBA)
        })
        .ok_or_else(|| Failure::usage("no pixel format suits all of these files"))
}
