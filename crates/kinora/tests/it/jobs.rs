//! Jobs on real files: every frame, in order, with its own time, and everything beside the picture kept.

use std::fs;

use serde_json::Value as Json;

use crate::command::{clip, frame_hashes, make, run};

fn probe(home: &std::path::Path, name: &str, what: &str) -> String {
    let output = std::process::Command::new("ffprobe")
        .current_dir(home)
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(what.split(' '))
        .arg(name)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn identity_into_a_lossless_file_keeps_every_frame_and_time() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // Irregular times, a start that is not zero, B-frames.
    #[rustfmt::skip]
    make(home, &["-f", "lavfi", "-i", "testsrc2=size=62x46:rate=60", "-vf", "select='not(mod(n\\,7))+not(mod(n\\,5))',setpts=PTS+1.4/TB",
        "-fps_mode", "passthrough", "-frames:v", "40", "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p",
        "-video_track_timescale", "90000", "vfr.mp4"]);
    let ran = run(
        home,
        [
            "run", "vfr.mp4", "out.mp4", "-p", "identity", "--codec", "h264", "--crf", "0",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(frame_hashes(home, "out.mp4"), frame_hashes(home, "vfr.mp4"));
    let times = |name| probe(home, name, "-select_streams v:0 -show_entries frame=pts_time");
    assert_eq!(times("out.mp4"), times("vfr.mp4"));
}

#[test]
fn sound_subtitles_chapters_and_tags_come_along() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("words.srt"), "1\n00:00:00,100 --> 00:00:00,900\nhello\n").unwrap();
    fs::write(
        home.join("meta.txt"),
        ";FFMETADATA1\ntitle=A title\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n\
         [CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=two\n",
    )
    .unwrap();
    #[rustfmt::skip]
    make(home, &["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-f", "lavfi", "-i", "sine=frequency=880:sample_rate=48000", "-i", "words.srt", "-i", "meta.txt", "-t", "1",
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4",
        "-c:v", "libx264", "-c:a", "aac", "-c:s", "srt", "-metadata:s:a:1", "language=deu", "rich.mkv"]);
    let ran = run(home, ["run", "rich.mkv", "-p", "invert"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let out = "rich.invert.mkv";
    let kinds = probe(home, out, "-show_entries stream=codec_name");
    assert_eq!(
        kinds.split_whitespace().collect::<Vec<_>>(),
        ["h264", "aac", "aac", "subrip"]
    );
    assert!(probe(home, out, "-show_entries stream_tags=language").contains("deu"));
    assert!(probe(home, out, "-show_entries format_tags=title").contains("A title"));
    assert!(probe(home, out, "-show_chapters").lines().count() >= 2);
    let sound = |name| {
        let output = std::process::Command::new("ffmpeg")
            .current_dir(home)
            .args(["-v", "error", "-i", name, "-map", "0:a", "-c", "copy", "-f", "md5", "-"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(sound(out), sound("rich.mkv"), "sound is copied bit for bit");
}

#[test]
fn a_part_is_the_frames_that_were_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 48);
    let all = frame_hashes(home, "a.mp4");
    for (args, from, to) in [
        (vec!["--start", "5f", "--end", "9f"], 5, 9),
        (vec!["--start", "0.5s", "--duration", "0.25s"], 12, 18),
        (vec!["--duration", "7f"], 0, 7),
        (vec!["--start", "40f"], 40, 48),
    ] {
        let mut line = vec!["run", "a.mp4", "part.mkv", "-y", "-p", "identity", "--codec", "ffv1"];
        line.extend(&args);
        let ran = run(home, &line);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        assert_eq!(frame_hashes(home, "part.mkv"), all[from..to], "{args:?}");
    }
}

#[test]
fn near_duplicates_are_skipped_where_it_is_asked_for_and_said_to_be_near() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // One picture, in every other frame one level brighter; and a cut to its negative.
    let brighter = "geq=lum='lum(X,Y)+mod(N,2)':cb='cb(X,Y)':cr='cr(X,Y)',negate=enable='gte(n,6)'";
    let once = "trim=end_frame=1,loop=loop=9:size=1,setpts=N/24/TB";
    #[rustfmt::skip]
    make(home, &["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24", "-vf", &format!("format=yuv420p,{once},{brighter}"),
        "-frames:v", "10", "-c:v", "ffv1", "grain.mkv"]);
    let stub = [
        "-p",
        "device_stub",
        "--set",
        "device_stub.ms=1",
        "--codec",
        "ffv1",
        "-y",
    ];
    let run_with = |dedupe: &[&str]| {
        let ran = run(
            home,
            ["run", "grain.mkv", "out.mkv", "--report", "r.json"]
                .iter()
                .chain(&stub)
                .chain(dedupe),
        );
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let report: Json = serde_json::from_str(&fs::read_to_string(home.join("r.json")).unwrap()).unwrap();
        (ran.stderr, report, frame_hashes(home, "out.mkv"))
    };

    let (said, report, hashes) = run_with(&["--dedupe", "near"]);
    assert!(said.contains("duplicates near=192,64,0.02, as asked"), "{said}");
    assert!(said.contains("skipped    8 near duplicates (80.0 %)"), "{said}");
    assert_eq!(
        (&report["dedupe"], &report["duplicates"]),
        (&"near=192,64,0.02".into(), &8.into())
    );
    assert_eq!(hashes.len(), 10);
    assert!(hashes[..6].iter().all(|hash| *hash == hashes[0]) && hashes[6..].iter().all(|hash| *hash == hashes[6]));

    let (said, report, hashes) = run_with(&[]);
    assert!(
        said.contains("duplicates exact: every node depends on pixels alone"),
        "{said}"
    );
    assert!(said.contains("skipped    6 exact duplicates (60.0 %)"), "{said}");
    assert_eq!(report["dedupe"], "exact");

    let (said, report, all) = run_with(&["--dedupe", "off"]);
    assert_eq!(hashes, all, "exact changes nothing");
    assert!(
        said.contains("duplicates off, as asked") && !said.contains("skipped"),
        "{said}"
    );
    assert_eq!((&report["dedupe"], &report["duplicates"]), (&"off".into(), &0.into()));

    let (_, report, _) = run_with(&["--dedupe", "near=0,0,0"]);
    assert_eq!(
        (&report["dedupe"], &report["duplicates"]),
        (&"near=0,0,0".into(), &6.into())
    );
}

#[test]
fn a_bound_that_is_none_is_a_usage_error() {
    let home = tempfile::tempdir().unwrap();
    for wrong in ["nearly", "near=64,192,0.02", "near=192,64,2", "near=192"] {
        let ran = run(home.path(), ["run", "a.mkv", "-p", "identity", "--dedupe", wrong]);
        assert_eq!(ran.code, Some(2), "{wrong}");
        assert!(ran.stderr.contains("near=HI,LO,FRAC"), "{}", ran.stderr);
    }
}

#[test]
fn duplicates_are_counted_and_the_report_says_where_the_time_went() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // Every picture stands for three frames, losslessly.
    #[rustfmt::skip]
    make(home, &["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=8", "-vf", "fps=24", "-frames:v", "30", "-c:v", "ffv1", "threes.mkv"]);
    let ran = run(
        home,
        [
            "run",
            "threes.mkv",
            "out.mkv",
            "-p",
            "device_stub",
            "--set",
            "device_stub.ms=1",
            "--codec",
            "ffv1",
            "--report",
            "r.json",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("skipped    20 exact duplicates"), "{}", ran.stderr);
    let report: Json = serde_json::from_str(&fs::read_to_string(home.join("r.json")).unwrap()).unwrap();
    assert_eq!(
        (report["frames_in"].as_u64(), report["frames_out"].as_u64()),
        (Some(30), Some(30))
    );
    assert_eq!(report["duplicates"], 20);
    let steps = report["steps"].as_array().unwrap();
    assert!(
        steps
            .iter()
            .any(|step| step["name"] == "device_stub" && step["frames"] == 10),
        "{steps:?}"
    );
    let hashes = frame_hashes(home, "out.mkv");
    assert_eq!(hashes.len(), 30);
    assert!(hashes.chunks(3).all(|three| three.iter().all(|hash| *hash == three[0])));
}

#[test]
fn json_lines_begin_with_the_plan_and_end_with_done() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 24);
    let ran = run(home, ["run", "a.mp4", "-p", "invert", "--progress", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<Json> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["v"] == 1 && line["t"].is_number() && line["event"].is_string())
    );
    assert_eq!(lines.first().unwrap()["event"], "plan");
    assert_eq!(lines.last().unwrap()["event"], "done");
    assert_eq!(lines.last().unwrap()["frames"], 24);
    let percents: Vec<f64> = lines
        .iter()
        .filter(|l| l["event"] == "progress")
        .map(|l| l["percent"].as_f64().unwrap())
        .collect();
    assert!(percents.is_sorted() && percents.last() == Some(&100.0), "{percents:?}");

    let ran = run(home, ["run", "nope.mp4", "-p", "invert", "--progress", "json"]);
    let error: Json = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (error["event"].as_str(), error["code"].as_str(), error["exit"].as_i64()),
        (Some("error"), Some("input.missing"), Some(3))
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 5);
    let ran = run(
        home,
        [
            "run",
            "a.mp4",
            "-p",
            "resize,invert",
            "--set",
            "resize.scale=2",
            "--dry-run",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("128x96") && ran.stderr.contains("convert yuv420p"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_dir(home).unwrap().count(), 1);
}

#[test]
fn t02_names_with_everything_in_them_work() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    let long = format!("{}.mp4", "n".repeat(200));
    for name in [
        "-x.mp4",
        "with 'quotes' \"and\" spaces.mp4",
        "line\nbreak.mp4",
        "concat:a.mp4",
        "img%03d.mp4",
        "ünï✓.mp4",
        &long,
    ] {
        fs::copy(home.join("a.mp4"), home.join(name)).unwrap();
        let ran = run(
            home,
            [
                "run",
                "-p",
                "identity",
                "--input",
                &format!("./{name}"),
                "-o",
                "out %d [x].mkv",
                "-y",
            ],
        );
        assert_eq!(ran.code, Some(0), "{name:?}: {}", ran.stderr);
        assert_eq!(frame_hashes(home, "out %d [x].mkv").len(), 3);
    }
}

#[test]
fn pictures_and_folders_of_pictures_go_through_the_same_engine() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("pics")).unwrap();
    for n in [1, 2, 10] {
        let hue = format!("testsrc2=size=40x30,hue=h={}", n * 30);
        make(
            home,
            &["-f", "lavfi", "-i", &hue, "-frames:v", "1", &format!("pics/p{n}.png")],
        );
    }
    let line = ["run", "pics", "-p", "resize", "--set", "resize.scale=2"];
    let ran = run(home, line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut names: Vec<_> = fs::read_dir(home.join("pics.resize"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["p1.png", "p10.png", "p2.png"], "names are kept");
    assert_eq!(
        probe(home, "pics.resize/p10.png", "-show_entries stream=width,height").trim(),
        "80,60"
    );
    assert_eq!(run(home, line).code, Some(2), "a second run overwrites nothing");

    // 16 bits and opacity stay where the file has them.
    make(
        home,
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=40x30,format=rgba64be",
            "-frames:v",
            "1",
            "deep.png",
        ],
    );
    let ran = run(home, ["run", "deep.png", "out.png", "-p", "invert"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        probe(home, "out.png", "-show_entries stream=pix_fmt").trim(),
        "rgba64be"
    );
    let ran = run(home, ["run", "deep.png", "out.jpg", "-p", "invert"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("opacity"), "what is lost is said: {}", ran.stderr);
}

#[test]
fn a_folder_of_one_picture_is_a_folder_and_a_dot_means_its_name() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("one.v2")).unwrap();
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=40x30", "-frames:v", "1"];
    make(home, &[&picture[..], &["one.v2/p.png"]].concat());
    let ran = run(home, ["run", "one.v2", "-o", "new", "-p", "identity"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        home.join("new/p.png").is_file() && ran.stderr.contains("1 picture"),
        "{}",
        ran.stderr
    );
    let mut command = crate::command::kinora(home);
    command
        .current_dir(home.join("one.v2"))
        .args(["run", ".", "-p", "identity"]);
    let ran = crate::command::finished(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(home.join("one.v2.identity/p.png").is_file(), "{}", ran.stderr);
}

#[test]
fn a_part_has_the_sound_of_its_own_time() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 96);
    let ran = run(
        home,
        [
            "run",
            "a.mp4",
            "part.mkv",
            "-p",
            "identity",
            "--start",
            "1s",
            "--duration",
            "1s",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let times = |what: &str| -> Vec<f64> {
        let text = probe(
            home,
            "part.mkv",
            &format!("-select_streams {what}:0 -show_entries packet=pts_time"),
        );
        let mut times: Vec<f64> = text
            .split_whitespace()
            .map(|time| time.trim_end_matches(',').parse().unwrap())
            .collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (video, sound) = (times("v"), times("a"));
    assert_eq!(video.len(), 24);
    assert!((video[0] - 1.0).abs() < 0.002, "{video:?}");
    let (first, last) = (sound[0], sound[sound.len() - 1]);
    assert!(
        (1.0..1.03).contains(&first) && (1.9..2.01).contains(&last),
        "sound runs from {first} to {last}"
    );
}

#[test]
fn colours_do_not_shift_where_an_untagged_clip_grows_past_720_rows() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    #[rustfmt::skip]
    make(home, &["-f", "lavfi", "-i", "color=c=red:size=64x400:rate=24", "-frames:v", "2", "-pix_fmt", "yuv420p", "-c:v", "ffv1", "red.mkv"]);
    let line = [
        "run",
        "red.mkv",
        "-o",
        "big.mkv",
        "-p",
        "device_stub",
        "--set",
        "device_stub.ms=0",
        "--codec",
        "ffv1",
    ];
    let ran = run(home, line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let samples = |name: &str| {
        make(
            home,
            &[
                "-i",
                name,
                "-frames:v",
                "1",
                "-f",
                "rawvideo",
                "-pix_fmt",
                "yuv420p",
                "one.yuv",
            ],
        );
        let bytes = fs::read(home.join("one.yuv")).unwrap();
        let luma = bytes.len() * 2 / 3;
        [
            bytes[luma / 2],
            bytes[luma + luma / 8],
            bytes[luma + luma / 4 + luma / 8],
        ]
    };
    let (before, after) = (samples("red.mkv"), samples("big.mkv"));
    assert!(
        before.iter().zip(after).all(|(a, b)| a.abs_diff(b) <= 1),
        "{before:?} became {after:?}"
    );
    // 800 rows without a word would be taken for BT.709.
    assert_eq!(
        probe(home, "big.mkv", "-show_entries stream=color_space").trim(),
        "smpte170m"
    );
}

#[test]
fn animations_go_in_and_out() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 12);
    for (from, to) in [("a.mp4", "b.gif"), ("b.gif", "c.webp"), ("c.webp", "d.mkv")] {
        let ran = run(home, ["run", from, to, "-p", "invert"]);
        assert_eq!(ran.code, Some(0), "{from} to {to}: {}", ran.stderr);
    }
    assert_eq!(frame_hashes(home, "b.gif").len(), 12);
    // Equal neighbours are one picture that stands longer in an animated WebP.
    assert!((6..=12).contains(&frame_hashes(home, "d.mkv").len()));
}
