use std::{path::PathBuf, sync::Arc};

use kinora_engine::{Disk, Final, JobFolder, Opening, Who, publish};
use kinora_media::{Audio, EncodeSettings, Stop, Subtitles};
use serde_json::json;

use super::durable::old_settings;
use crate::{
    app::App,
    cli::{Join, ProgressStyle},
    failure::Failure,
    show::{bytes, count, utc_now},
};

/// Puts the finished segments of a job folder together.
pub(crate) fn run(app: &App, flags: &Join) -> Result<(), Failure> {
    let console = &app.console;
    let settings = old_settings(&flags.folder)?;
    let record = JobFolder::peek(&flags.folder, &Disk)?;
    let Some(video) = settings.video else {
        return Err(
            Failure::new("job.manifest", "the job does not say what its pictures are")
                .hint("it was begun by another version: run its command again"),
        );
    };
    let output = output(flags)?;
    if output.exists() && !flags.overwrite {
        return Err(
            Failure::new("output.exists", format!("{} exists already", output.display()))
                .hint("--overwrite replaces it, --output NAME writes elsewhere"),
        );
    }
    super::job::check_parent(&output)?;
    let ffmpeg = app.ffmpeg()?;
    let source = flags.audio_from.clone().unwrap_or(settings.input);
    let info = if flags.no_audio {
        None
    } else if source.exists() {
        Some(ffmpeg.probe_with(&source, &Stop::default())?)
    } else {
        return Err(Failure::new(
            "input.missing",
            format!(
                "'{}', where sound and the rest come from, does not exist",
                source.display()
            ),
        )
        .cause("the segments are safe")
        .hint("--audio-from PATH takes them from elsewhere, --no-audio leaves them out"));
    };
    let encode = EncodeSettings {
        overwrite: flags.overwrite,
        audio: if flags.no_audio {
            Audio::None
        } else {
            settings.encode.audio
        },
        subtitles: if flags.no_audio {
            Subtitles::None
        } else {
            settings.encode.subtitles
        },
        ..settings.encode
    };
    let opening = Opening {
        verify: flags.verify,
        ..Opening::default()
    };
    let who = Who::this_process(utc_now());
    let (folder, found) = JobFolder::open(&flags.folder, Arc::new(Disk), &record, &opening, &who)?;
    if found.checked > 0 {
        console.say(&format!("checked      {} segments by hash", count(found.checked)));
    }
    let about = Final {
        ffmpeg: &ffmpeg,
        output: &output,
        video: &video,
        source: info.as_ref(),
        settings: &encode,
    };
    let done = publish(&folder, &about, flags.partial, &Stop::default())?;
    let shortfall = folder.end().and_then(|end| end.shortfall);
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for lost in &done.color_differences {
        console.warn(
            "output.note",
            &format!("the file does not say its colour as the source did: {lost}"),
            None,
        );
    }
    if let Some(shortfall) = shortfall {
        let message = format!(
            "the input was cut off at {} of {}: this file holds what decoded",
            shortfall.at, shortfall.total
        );
        console.warn("input.truncated", &message, None);
    }
    if console.style() == ProgressStyle::Json {
        let fields = json!({
            "output": output.to_string_lossy(), "frames": done.frames, "seconds": console.elapsed().as_secs_f64(),
            "fps": 0.0, "bytes": done.bytes, "duplicates": 0, "segments": done.segments, "exit": 0,
        });
        console.event("done", &fields);
    } else {
        console.say(&format!(
            "{name}  {} frames of {} segments, {}",
            count(done.frames),
            count(done.segments),
            bytes(done.bytes)
        ));
    }
    Ok(())
}

/// The file that is asked for; the folder's name says it where nothing else does.
fn output(flags: &Join) -> Result<PathBuf, Failure> {
    if let Some(output) = &flags.output {
        return Ok(output.clone());
    }
    let name = flags
        .folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match name.strip_suffix(".kinora") {
        Some(name) if !flags.partial => Ok(flags.folder.with_file_name(name)),
        Some(name) => {
            let path = flags.folder.with_file_name(name);
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            Ok(path.with_extension(format!("partial.{extension}")))
        }
        None => Err(Failure::new("usage.missing", "--output is missing").hint("kinora join DIR -o film.mkv")),
    }
}
