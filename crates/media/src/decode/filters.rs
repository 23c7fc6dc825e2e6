//! The filters of the decoder child, and what their messages say.

use std::sync::{Arc, atomic::Ordering};

use kinora_frame::{ColorRange, ColorSpec};

use super::{Decoder, Deinterlace, SizeChange};
use crate::{child::LineFilter, probe::color};

/// A filter under which a time that goes back or stands begins anew one step behind the frame before it, and so do all
/// after it: order and durations are kept. Without it FFmpeg's muxer squeezes them to one tick each. Variable 0 is what is
/// added to every time, 1 the time, 2 the last step; `print` marks each repair on stderr.
const RISING_TIMES: &str = "setpts='st(1,PTS+ld(0));\
    if(lte(ld(1),PREV_OUTPTS),\
    print(0.271828,32);st(0,ld(0)+PREV_OUTPTS+max(ld(2),1)-ld(1));st(1,PREV_OUTPTS+max(ld(2),1)));\
    st(2,if(isnan(PREV_OUTPTS),0,ld(1)-PREV_OUTPTS));ld(1)'";

/// What [`RISING_TIMES`] prints.
const REPAIR_MARK: &str = "[info] 0.271828";

impl Decoder {
    pub(super) fn filters(&self) -> String {
        let mut filters = vec![RISING_TIMES.to_owned()];
        match self.options.deinterlace {
            Deinterlace::On => filters.push("bwdif=mode=send_frame:deint=all".to_owned()),
            Deinterlace::Auto if self.facts.field_order.is_interlaced() => {
                filters.push("bwdif=mode=send_frame:deint=interlaced".to_owned());
            }
            Deinterlace::Auto | Deinterlace::Off => {}
        }
        let mut scale = Vec::new();
        if self.options.size_change == SizeChange::Rescale {
            scale.push(format!("w={}:h={}", self.facts.size.width, self.facts.size.height));
        }
        if self.facts.format.is_yuv() && !self.format.is_yuv() && self.format.color_channels() == 3 {
            let resolved = ColorSpec {
                matrix: self.facts.color.resolved_matrix(self.facts.size.height),
                ..self.facts.color
            };
            scale.push(format!(
                "in_color_matrix={}:in_range={}:out_range=full",
                color::scale_matrix(resolved.matrix),
                range_name(resolved.range)
            ));
            scale.push("flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp".to_owned());
        } else if self.facts.format.is_yuv() && self.facts.source_format != self.format.name() {
            // Without it FFmpeg 5 and 6 squeeze full-range pictures and 8 and 9 do not.
            let range = range_name(self.color.range);
            scale.push(format!("in_range={range}:out_range={range}"));
        }
        if !scale.is_empty() {
            filters.push(format!("scale={}", scale.join(":")));
        }
        filters.push(format!("format={}", self.format.name()));
        filters.join(",")
    }

    /// Keeps complaints, and counts errors, repaired times and the pictures for which the scaler was set up again.
    pub(super) fn line_filter(&self) -> LineFilter {
        let changes = Arc::clone(&self.size_changes);
        let repairs = Arc::clone(&self.time_repairs);
        let errors = Arc::clone(&self.errors);
        let mut seen: Option<String> = None;
        Box::new(move |line| {
            if line.trim_end().ends_with(REPAIR_MARK) {
                repairs.fetch_add(1, Ordering::Relaxed);
            }
            if ["[error]", "[fatal]", "[panic]"]
                .iter()
                .any(|level| line.contains(level))
            {
                errors.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(size) = scaler_input(line) {
                if seen.as_ref().is_some_and(|seen| *seen != size) {
                    changes.fetch_add(1, Ordering::Relaxed);
                }
                seen = Some(size);
            }
            !["[verbose]", "[info]", "[debug]"]
                .iter()
                .any(|level| line.contains(level))
                && !line.trim().is_empty()
        })
    }
}

const fn range_name(range: ColorRange) -> &'static str {
    match range {
        ColorRange::Limited => "limited",
        ColorRange::Full => "full",
    }
}

/// The size that a scaler is set up for: `[scale] [verbose] w:320 h:240 fmt:yuv420p ... -> w:...`.
fn scaler_input(line: &str) -> Option<String> {
    // Others are put in by FFmpeg itself.
    if !line.contains("Parsed_scale") {
        return None;
    }
    let (_, set_up) = line.split_once("[verbose] w:")?;
    let (from, _) = set_up.split_once(" fmt:")?;
    Some(from.to_owned())
}

#[cfg(test)]
mod tests {
    use super::scaler_input;

    #[test]
    fn a_scaler_that_is_set_up_again_shows_its_input_size() {
        let line = "[Parsed_scale_0 @ 0x1] [verbose] w:320 h:240 fmt:yuv420p sar:1/1 -> w:64 h:48 fmt:yuv420p";
        assert_eq!(scaler_input(line).as_deref(), Some("320 h:240"));
        assert_eq!(scaler_input("[h264 @ 0x1] [verbose] Reinit context to 320x240"), None);
    }
}
