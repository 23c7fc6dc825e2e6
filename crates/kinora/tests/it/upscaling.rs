//! Real weights on real pictures: as good as the networks are known to be.

use std::{collections::HashMap, fs, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::command::{fetched_clip, frame_hashes, make, network, run};

/// Planar picture of 8-bit values.
struct Picture {
    width: usize,
    height: usize,
    planes: Vec<f64>,
}

/// Decodes a crop of a picture or of a clip's frame to planar RGB.
fn picture(home: &Path, file: &Path, frame: usize, width: usize, height: usize) -> Picture {
    let filter = format!("select='eq(n\\,{frame})',crop={width}:{height}:0:0,format=gbrp");
    let file = file.to_str().unwrap();
    make(
        home,
        &[
            "-i",
            file,
            "-vf",
            &filter,
            "-frames:v",
            "1",
            "-f",
            "rawvideo",
            "planes.raw",
        ],
    );
    let bytes = fs::read(home.join("planes.raw")).unwrap();
    let plane = width * height;
    assert_eq!(bytes.len(), 3 * plane);
    // Planes come as green, blue, red.
    let planes = [2, 0, 1]
        .iter()
        .flat_map(|&p| bytes[p * plane..(p + 1) * plane].iter().map(|&b| f64::from(b)));
    Picture {
        width,
        height,
        planes: planes.collect(),
    }
}

/// Mean of `factor` x `factor` blocks, rounded to 8 bits.
fn shrunk(picture: &Picture, factor: usize) -> Picture {
    let (width, height) = (picture.width / factor, picture.height / factor);
    let mut planes = Vec::with_capacity(3 * width * height);
    for plane in picture.planes.chunks_exact(picture.width * picture.height) {
        for y in 0..height {
            for x in 0..width {
                let rows = (0..factor).flat_map(|dy| (0..factor).map(move |dx| (dy, dx)));
                let sum: f64 = rows
                    .map(|(dy, dx)| plane[(y * factor + dy) * picture.width + x * factor + dx])
                    .sum();
                planes.push((sum / (factor * factor) as f64 + 0.5).floor());
            }
        }
    }
    Picture { width, height, planes }
}

/// Sends a picture through `kinora infer` and gives the result as 8-bit values.
fn inferred(home: &Path, model: &str, picture: &Picture) -> Vec<f64> {
    let values: Vec<u8> = picture
        .planes
        .iter()
        .flat_map(|v| ((*v / 255.0) as f32).to_le_bytes())
        .collect();
    let view = TensorView::new(Dtype::F32, vec![3, picture.height, picture.width], &values).unwrap();
    let bytes = safetensors::serialize(HashMap::from([("x", view)]), None).unwrap();
    fs::write(home.join("in.safetensors"), bytes).unwrap();
    let ran = run(
        home,
        [
            "infer",
            "-m",
            model,
            "-i",
            "in.safetensors",
            "-o",
            "out.safetensors",
            "-y",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let bytes = fs::read(home.join("out.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let data = tensors.tensor("y").unwrap();
    data.data()
        .chunks_exact(4)
        .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        .map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5).floor())
        .collect()
}

fn psnr(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let mse = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64;
    10.0 * (255.0f64.powi(2) / mse).log10()
}

fn ratio(home: &Path, model: &str, file: &Path, frame: usize, size: (usize, usize), factor: usize) -> f64 {
    let whole = picture(home, file, frame, size.0, size.1);
    psnr(&inferred(home, model, &shrunk(&whole, factor)), &whole.planes)
}

#[test]
fn span_x4_restores_a_shrunk_photograph_to_27_3_db() {
    let home = tempfile::tempdir().unwrap();
    let (Some(_), Some(file)) = (network("span-x4"), fetched_clip("pictures", "astronaut.png")) else {
        return;
    };
    let found = ratio(home.path(), "span-x4", &file, 0, (256, 256), 4);
    // 26.68 dB is bicubic on the same picture: at least 0.6 dB better.
    assert!(found >= 27.3, "{found:.2} dB");
}

#[test]
fn waifu2x_photo_restores_a_shrunk_frame_to_31_6_db() {
    let home = tempfile::tempdir().unwrap();
    let clip = fetched_clip("clip-carphone", "carphone_pristine.mp4");
    let (Some(_), Some(file)) = (network("waifu2x-photo-x2"), clip) else {
        return;
    };
    let found = ratio(home.path(), "waifu2x-photo-x2", &file, 60, (176, 144), 2);
    assert!(found >= 31.6, "{found:.2} dB");
}

#[test]
fn a_real_clip_becomes_twice_as_large_with_every_frame_and_time() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let clip = fetched_clip("clip-carphone", "carphone_pristine.mp4");
    let (Some(_), Some(file)) = (network("waifu2x-photo-x2"), clip) else {
        return;
    };
    let file = file.to_str().unwrap().to_owned();
    let line = [
        "upscale",
        &file,
        "-o",
        "out.mkv",
        "--duration",
        "6f",
        "--codec",
        "ffv1",
        "-j",
        "2",
        "-d",
        "cpu",
    ];
    let ran = run(home, line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("waifu2x-photo-x2") && ran.stderr.contains("on cpu f32"),
        "{}",
        ran.stderr
    );
    let first = frame_hashes(home, "out.mkv");
    assert_eq!(first.len(), 6);

    // The same with other settings that must not change a pixel.
    let again = [
        "upscale",
        &file,
        "-o",
        "two.mkv",
        "--duration",
        "6f",
        "--codec",
        "ffv1",
        "--workers",
        "2",
        "-j",
        "2",
        "-d",
        "cpu",
    ];
    assert_eq!(run(home, again).code, Some(0));
    assert_eq!(frame_hashes(home, "two.mkv"), first);
}

#[test]
fn odd_sizes_fractions_and_strength_work() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    if network("waifu2x-photo-x2").is_none() {
        return;
    }
    make(
        home,
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=34x22:rate=24,format=yuv444p,crop=33:21:0:0:exact=1",
            "-frames:v",
            "2",
            "-c:v",
            "ffv1",
            "odd.mkv",
        ],
    );
    for (args, size) in [
        (vec!["-s", "2"], "66,42"),
        (vec!["-s", "1.5"], "50,32"),
        (vec!["--size", "100x80"], "100,80"),
        (vec!["--height", "63"], "99,63"),
        (vec!["--strength", "0.5"], "66,42"),
    ] {
        let mut line = vec!["upscale", "odd.mkv", "out.mkv", "-y", "--codec", "ffv1"];
        line.extend(&args);
        let ran = run(home, &line);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        let output = std::process::Command::new("ffprobe")
            .current_dir(home)
            .args([
                "-v",
                "error",
                "-show_entries",
                "stream=width,height",
                "-of",
                "csv=p=0",
                "out.mkv",
            ])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), size, "{args:?}");
    }
}

#[test]
fn the_runtime_keeps_no_record_of_its_use() {
    if network("waifu2x-photo-x2").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    make(
        home,
        &["-f", "lavfi", "-i", "testsrc2=size=64x48", "-frames:v", "2", "a.mkv"],
    );
    let ran = run(
        home,
        ["--offline", "upscale", "a.mkv", "b.mkv", "--model", "waifu2x-photo-x2"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // Where ONNX Runtime may report its use, it first makes a database of events here.
    assert!(!home.join(".cache/Microsoft").exists());
}
