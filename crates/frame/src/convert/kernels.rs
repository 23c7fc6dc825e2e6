//! The row kernels of conversion: straight loops over slices, compiled once for the baseline and once for AVX2.
//!
//! Arithmetic is IEEE as written (a fused multiply-add only where the code says `mul_add`), so both compilations give
//! the same bits.
//!
//! `unsafe` is used for two things: calling the AVX2 compilation after the processor was asked for AVX2,
//! and turning a float into an integer after it was clamped into the integer's range.
#![allow(unsafe_code)]

/// A code value as stored: 8 or 16 bits.
pub(crate) trait Sample: bytemuck::Pod + Send + Sync {
    /// The code as a float, exact.
    fn to_f32(self) -> f32;
    /// The low bits of a code that is in range.
    fn from_code(code: i32) -> Self;
}

impl Sample for u8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn from_code(code: i32) -> Self {
        code as Self
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn from_code(code: i32) -> Self {
        code as Self
    }
}

/// `floor(value + 0.5)` clamped to `0..=max`; NaN becomes 0.
#[inline(always)]
pub(crate) fn round_code(value: f32, max: u16) -> i32 {
    let value = value + 0.5;
    let value = if value > 0.0 { value } else { 0.0 };
    let max = f32::from(max);
    let value = if value < max { value } else { max };
    // SAFETY: the two lines above leave a number in 0..=65535, never NaN (a NaN fails `> 0.0`).
    unsafe { value.to_int_unchecked::<i32>() }
}

/// [`round_code`] in f64.
#[inline(always)]
pub(crate) fn round_code_f64(value: f64, max: u16) -> i32 {
    let value = value + 0.5;
    let value = if value > 0.0 { value } else { 0.0 };
    let max = f64::from(max);
    let value = if value < max { value } else { max };
    // SAFETY: the lines above leave a number in 0..=65535, never NaN (a NaN fails `> 0.0`).
    unsafe { value.to_int_unchecked::<i32>() }
}

/// The value clamped to 0..=1; NaN becomes 0.
#[inline(always)]
pub(crate) fn clamp_unit(value: f32) -> f32 {
    let value = if value > 0.0 { value } else { 0.0 };
    if value < 1.0 { value } else { 1.0 }
}

/// A kernel in two compilations. The AVX2 one is chosen at run time.
macro_rules! row_kernel {
    ($(#[$doc:meta])* fn $name:ident $(<$($generic:ident: $bound:path),+>)? ($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name $(<$($generic: $bound),+>)? ($($arg: $type),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn plain $(<$($generic: $bound),+>)? ($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2 $(<$($generic: $bound),+>)? ($($arg: $type),*) {
                    plain($($arg),*);
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has AVX2 and FMA, asked on the line above.
                    unsafe { avx2($($arg),*) };
                    return;
                }
            }
            plain($($arg),*);
        }
    };
}

pub(crate) use row_kernel;

/// Code values to RGB: `r = (y - y_offset) * y_scale + v * rv`, where u and v are centred codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct YuvToRgb {
    pub(crate) y_offset: f32,
    pub(crate) y_scale: f32,
    pub(crate) rv: f32,
    pub(crate) gu: f32,
    pub(crate) gv: f32,
    pub(crate) bu: f32,
}

/// RGB to luma codes and normalised chroma.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RgbToYcc {
    pub(crate) kr: f32,
    pub(crate) kg: f32,
    pub(crate) kb: f32,
    pub(crate) cb: f32,
    pub(crate) cr: f32,
}

/// Normalised values to codes: `floor(v * scale + offset + 0.5)` clamped to `0..=max`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantiser {
    pub(crate) scale: f32,
    pub(crate) offset: f32,
    pub(crate) max: u16,
}

impl Quantiser {
    #[inline(always)]
    fn code(self, value: f32) -> i32 {
        round_code(value * self.scale + self.offset, self.max)
    }
}

row_kernel! {
    /// Codes to floats: `(code - offset) * scale`.
    fn widen<T: Sample>(codes: &[T], offset: f32, scale: f32, out: &mut [f32]) {
        for (out, code) in out.iter_mut().zip(codes) {
            *out = (code.to_f32() - offset) * scale;
        }
    }
}

row_kernel! {
    /// Two rows of codes blended and centred: `a * wa + b * wb - offset`.
    fn blend<T: Sample>(a: &[T], b: &[T], wa: f32, wb: f32, offset: f32, out: &mut [f32]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a.to_f32() * wa + b.to_f32() * wb - offset;
        }
    }
}

row_kernel! {
    /// Doubles a row whose samples sit on the even columns. `padded[1 + k]` is sample k, with a copy of the first
    /// before it and of the last behind it.
    fn up_cosited(padded: &[f32], out: &mut [f32]) {
        for ((out, here), next) in out.chunks_exact_mut(2).zip(&padded[1..]).zip(&padded[2..]) {
            out[0] = *here;
            out[1] = 0.5 * (*here + *next);
        }
    }
}

row_kernel! {
    /// Doubles a row whose samples sit between two columns; `padded` as for [`up_cosited`].
    fn up_centred(padded: &[f32], out: &mut [f32]) {
        for (((out, before), here), next) in out.chunks_exact_mut(2).zip(padded).zip(&padded[1..]).zip(&padded[2..]) {
            out[0] = 0.25 * *before + 0.75 * *here;
            out[1] = 0.75 * *here + 0.25 * *next;
        }
    }
}

row_kernel! {
    /// Doubles a row by repeating every sample; `padded` as for [`up_cosited`].
    fn up_nearest(padded: &[f32], out: &mut [f32]) {
        for (out, here) in out.chunks_exact_mut(2).zip(&padded[1..]) {
            out[0] = *here;
            out[1] = *here;
        }
    }
}

row_kernel! {
    /// One row of luma codes and centred chroma codes to RGB.
    fn yuv_to_rgb<T: Sample>(
        y: &[T], u: &[f32], v: &[f32], k: YuvToRgb, r: &mut [f32], g: &mut [f32], b: &mut [f32],
    ) {
        let n = y.len();
        let (u, v) = (&u[..n], &v[..n]);
        let (r, g, b) = (&mut r[..n], &mut g[..n], &mut b[..n]);
        for i in 0..n {
            let luma = (y[i].to_f32() - k.y_offset) * k.y_scale;
            r[i] = luma + v[i] * k.rv;
            g[i] = luma + (u[i] * k.gu + v[i] * k.gv);
            b[i] = luma + u[i] * k.bu;
        }
    }
}

row_kernel! {
    /// One row of RGB, clamped to 0..1, to luma codes and normalised chroma.
    fn rgb_to_ycc<T: Sample>(
        r: &[f32], g: &[f32], b: &[f32], k: RgbToYcc, luma: Quantiser, y: &mut [T], cb: &mut [f32], cr: &mut [f32],
    ) {
        let n = y.len();
        let (r, g, b) = (&r[..n], &g[..n], &b[..n]);
        let (cb, cr) = (&mut cb[..n], &mut cr[..n]);
        for i in 0..n {
            let (r, g, b) = (clamp_unit(r[i]), clamp_unit(g[i]), clamp_unit(b[i]));
            let value = k.kr * r + k.kg * g + k.kb * b;
            y[i] = T::from_code(luma.code(value));
            cb[i] = (b - value) * k.cb;
            cr[i] = (r - value) * k.cr;
        }
    }
}

row_kernel! {
    /// One row of RGB, clamped to 0..1, to luma codes alone.
    fn rgb_to_luma<T: Sample>(r: &[f32], g: &[f32], b: &[f32], k: RgbToYcc, luma: Quantiser, y: &mut [T]) {
        let n = y.len();
        let (r, g, b) = (&r[..n], &g[..n], &b[..n]);
        for i in 0..n {
            let (r, g, b) = (clamp_unit(r[i]), clamp_unit(g[i]), clamp_unit(b[i]));
            y[i] = T::from_code(luma.code(k.kr * r + k.kg * g + k.kb * b));
        }
    }
}

row_kernel! {
    /// Two rows averaged.
    fn mean_rows(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = 0.5 * (*a + *b);
        }
    }
}

row_kernel! {
    /// Three rows weighted 1, 2, 1.
    fn tent_rows(a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
        for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = 0.25 * *a + 0.5 * *b + 0.25 * *c;
        }
    }
}

row_kernel! {
    /// Halves a row to samples on the even columns, weights 1, 2, 1, and rounds to codes. `padded[1 + x]` is column x,
    /// with a copy of the first before it and two of the last behind it.
    fn down_cosited<T: Sample>(padded: &[f32], code: Quantiser, out: &mut [T]) {
        let pairs = padded.chunks_exact(2).zip(padded[2..].chunks_exact(2));
        for (out, (pair, next)) in out.iter_mut().zip(pairs) {
            *out = T::from_code(code.code(0.25 * pair[0] + 0.5 * pair[1] + 0.25 * next[0]));
        }
    }
}

row_kernel! {
    /// Halves a row to samples between two columns and rounds to codes; `padded` as for [`down_cosited`].
    fn down_centred<T: Sample>(padded: &[f32], code: Quantiser, out: &mut [T]) {
        for (out, pair) in out.iter_mut().zip(padded[1..].chunks_exact(2)) {
            *out = T::from_code(code.code(0.5 * (pair[0] + pair[1])));
        }
    }
}

row_kernel! {
    /// Rounds a row to codes.
    fn quantise<T: Sample>(values: &[f32], code: Quantiser, out: &mut [T]) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = T::from_code(code.code(*value));
        }
    }
}

row_kernel! {
    /// Interleaved samples of three channels, divided by `divisor`.
    fn split_rgb3<T: Sample>(pixels: &[T], divisor: f32, r: &mut [f32], g: &mut [f32], b: &mut [f32]) {
        for (((pixel, r), g), b) in pixels.chunks_exact(3).zip(r).zip(g).zip(b) {
            *r = pixel[0].to_f32() / divisor;
            *g = pixel[1].to_f32() / divisor;
            *b = pixel[2].to_f32() / divisor;
        }
    }
}

row_kernel! {
    /// As [`split_rgb3`] for pixels with a fourth sample, which is left out.
    fn split_rgb4<T: Sample>(pixels: &[T], divisor: f32, r: &mut [f32], g: &mut [f32], b: &mut [f32]) {
        for (((pixel, r), g), b) in pixels.chunks_exact(4).zip(r).zip(g).zip(b) {
            *r = pixel[0].to_f32() / divisor;
            *g = pixel[1].to_f32() / divisor;
            *b = pixel[2].to_f32() / divisor;
        }
    }
}

row_kernel! {
    /// Three rows rounded and interleaved.
    fn join_rgb3<T: Sample>(r: &[f32], g: &[f32], b: &[f32], code: Quantiser, out: &mut [T]) {
        for (((pixel, r), g), b) in out.chunks_exact_mut(3).zip(r).zip(g).zip(b) {
            pixel[0] = T::from_code(code.code(*r));
            pixel[1] = T::from_code(code.code(*g));
            pixel[2] = T::from_code(code.code(*b));
        }
    }
}

row_kernel! {
    /// Three rows and alpha rounded and interleaved.
    fn join_rgb4<T: Sample>(r: &[f32], g: &[f32], b: &[f32], a: &[f32], code: Quantiser, out: &mut [T]) {
        for ((((pixel, r), g), b), a) in out.chunks_exact_mut(4).zip(r).zip(g).zip(b).zip(a) {
            pixel[0] = T::from_code(code.code(*r));
            pixel[1] = T::from_code(code.code(*g));
            pixel[2] = T::from_code(code.code(*b));
            pixel[3] = T::from_code(code.code(*a));
        }
    }
}

row_kernel! {
    /// A row multiplied in place.
    fn scale_row(row: &mut [f32], scale: f32) {
        for value in row {
            *value *= scale;
        }
    }
}

row_kernel! {
    /// A row moved to 0..1 in place: `(v - black) / span`.
    fn to_unit(row: &mut [f32], span: f32, black: f32) {
        for value in row {
            *value = (*value - black) / span;
        }
    }
}

row_kernel! {
    /// A row clamped to 0..1 in place.
    fn clamp_row(row: &mut [f32]) {
        for value in row {
            *value = clamp_unit(*value);
        }
    }
}
