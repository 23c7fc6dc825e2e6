use kinora_media::EncodeSettings;

use crate::clips::{copy_through, decode, make, ticks, with_each};

#[test]
fn a_lossless_round_trip_changes_no_pixel_and_no_time() {
    with_each(|tool| {
        let folder = tempfile::tempdir().unwrap();
        let clip = make(
            tool,
            "-f lavfi -i testsrc2=s=96x64:r=24000/1001:d=1 -c:v libx264 -bf 2 -pix_fmt yuv420p",
            &folder.path().join("in.mp4"),
        );
        let settings = EncodeSettings {
            codec: Some("ffv1".to_owned()),
            ..EncodeSettings::default()
        };
        let output = folder.path().join("out.nut");
        let (_, frames, written) = copy_through(tool, &clip, &output, &settings).unwrap();
        assert_eq!((frames.len(), written.frames), (24, 24));
        let again = tool.probe(&output).unwrap();
        let (back, _) = decode(tool, &again, Default::default()).unwrap();
        assert_eq!(
            frames.iter().map(|frame| frame.pts).collect::<Vec<_>>(),
            back.iter().map(|frame| frame.pts).collect::<Vec<_>>(),
            "{:?} {:?}",
            ticks(&frames),
            ticks(&back)
        );
        for (a, b) in frames.iter().zip(&back) {
            assert_eq!(
                a.image.host_buffer().unwrap().bytes(),
                b.image.host_buffer().unwrap().bytes()
            );
        }
    });
}

/// Real clips, for a look by hand: `KINORA_TEST_CLIPS` is a path list.
#[test]
fn real_clips_go_through() {
    let Some(clips) = std::env::var_os("KINORA_TEST_CLIPS") else {
        return;
    };
    for clip in std::env::split_paths(&clips) {
        with_each(|tool| {
            let folder = tempfile::tempdir().unwrap();
            for name in ["out.mkv", "out.mp4"] {
                let (info, frames, written) =
                    copy_through(tool, &clip, &folder.path().join(name), &EncodeSettings::default()).unwrap();
                println!("{info:#?}\n{} frames, {written:?}", frames.len());
                assert!(!frames.is_empty() && written.frames == frames.len() as u64);
            }
        });
    }
}
