use std::fmt;
use std::sync::Arc;

/// One side of a tensor: a number, or an expression of one symbol such as `2*height`.
///
/// Expressions are kept in one canonical form, so that two dims that are certainly equal compare equal. Dims that
/// cannot be compared (`floor(height/2)*2` against `height`) are neither equal nor different: the check happens when the
/// sizes are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A fixed number.
    Known(usize),
    /// A chain of steps applied to a symbol.
    Expr(Expr),
    /// A size that no expression of one symbol describes.
    Unknown,
}

/// `symbol` followed by steps, each applied to the result of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    symbol: Arc<str>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// `x * mul + add`
    Affine { mul: i64, add: i64 },
    /// `floor(x / by)`
    Floor { by: i64 },
}

/// Result of comparing two dims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// Equal for every value of the symbols.
    Yes,
    /// Different for every value of the symbols.
    No,
    /// Depends on the values.
    Perhaps,
}

impl Dim {
    /// A free symbol such as `height`.
    pub fn symbol(name: &str) -> Self {
        Self::Expr(Expr {
            symbol: name.into(),
            steps: Vec::new(),
        })
    }

    /// The number, where it is one.
    pub fn known(&self) -> Option<usize> {
        match self {
            Self::Known(n) => Some(*n),
            _ => None,
        }
    }

    /// `self * mul + add`; `None` when the result is a number that is zero, negative or too large.
    pub fn affine(&self, mul: i64, add: i64) -> Option<Self> {
        match self {
            Self::Known(n) => {
                let value = i64::try_from(*n).ok()?.checked_mul(mul)?.checked_add(add)?;
                (value > 0).then_some(Self::Known(value as usize))
            }
            Self::Expr(e) => {
                let mut steps = e.steps.clone();
                match steps.pop() {
                    Some(Step::Affine { mul: m, add: a }) => {
                        steps.push(Step::Affine {
                            mul: m.checked_mul(mul)?,
                            add: a.checked_mul(mul)?.checked_add(add)?,
                        });
                    }
                    Some(other) => {
                        steps.push(other);
                        steps.push(Step::Affine { mul, add });
                    }
                    None => steps.push(Step::Affine { mul, add }),
                }
                if steps.last() == Some(&Step::Affine { mul: 1, add: 0 }) {
                    steps.pop();
                }
                Some(Self::Expr(Expr {
                    symbol: e.symbol.clone(),
                    steps,
                }))
            }
            Self::Unknown => Some(Self::Unknown),
        }
    }

    /// `floor(self / by)`; `None` when the result is zero.
    pub fn floor_div(&self, by: usize) -> Option<Self> {
        let by_i = i64::try_from(by).ok().filter(|b| *b > 0)?;
        if by == 1 {
            return Some(self.clone());
        }
        match self {
            Self::Known(n) => (n / by > 0).then_some(Self::Known(n / by)),
            Self::Expr(e) => {
                let mut steps = e.steps.clone();
                if let Some(Step::Affine { mul, add }) = steps.last().copied()
                    && mul % by_i == 0
                {
                    steps.pop();
                    steps.push(Step::Affine {
                        mul: mul / by_i,
                        add: add.div_euclid(by_i),
                    });
                    if steps.last() == Some(&Step::Affine { mul: 1, add: 0 }) {
                        steps.pop();
                    }
                } else {
                    steps.push(Step::Floor { by: by_i });
                }
                Some(Self::Expr(Expr {
                    symbol: e.symbol.clone(),
                    steps,
                }))
            }
            Self::Unknown => Some(Self::Unknown),
        }
    }

    /// Whether `floor(self / by)` is certainly exact.
    pub fn divisible_by(&self, by: usize) -> bool {
        let Ok(by_i) = i64::try_from(by) else { return false };
        match self {
            Self::Known(n) => by > 0 && n % by == 0,
            Self::Expr(Expr { steps, .. }) => match steps.last() {
                Some(Step::Affine { mul, add }) => mul % by_i == 0 && add % by_i == 0,
                _ => by == 1,
            },
            Self::Unknown => by == 1,
        }
    }

    /// Sum of two dims.
    pub fn sum(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Known(n), d) | (d, Self::Known(n)) => d.affine(1, i64::try_from(*n).ok()?),
            (Self::Expr(a), Self::Expr(b)) if a == b => self.affine(2, 0),
            _ => Some(Self::Unknown),
        }
    }

    /// Compares two dims.
    pub fn same(&self, other: &Self) -> Same {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Same::Perhaps,
            (a, b) if a == b => Same::Yes,
            (Self::Known(_), Self::Known(_)) => Same::No,
            (Self::Expr(a), Self::Expr(b)) if a.symbol == b.symbol => {
                // Same chain up to a last affine step of the same slope: a constant difference.
                let split = |e: &Expr| match e.steps.split_last() {
                    Some((Step::Affine { mul, add }, rest)) => (*mul, *add, rest.to_vec()),
                    _ => (1, 0, e.steps.clone()),
                };
                let (ma, aa, ra) = split(a);
                let (mb, ab, rb) = split(b);
                if ra == rb && ma == mb && aa != ab {
                    Same::No
                } else {
                    Same::Perhaps
                }
            }
            _ => Same::Perhaps,
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Self::Known(n)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(n) => write!(f, "{n}"),
            Self::Unknown => f.write_str("?"),
            Self::Expr(e) => {
                let mut text = e.symbol.to_string();
                for step in &e.steps {
                    text = match step {
                        Step::Affine { mul: 1, add } => format!("{text}{add:+}"),
                        Step::Affine { mul, add: 0 } => format!("{mul}*{}", wrap(&text)),
                        Step::Affine { mul, add } => format!("{mul}*{}{add:+}", wrap(&text)),
                        Step::Floor { by } => format!("floor({text}/{by})"),
                    };
                }
                f.write_str(&text)
            }
        }
    }
}

fn wrap(text: &str) -> String {
    if text.contains(['+', '-', '*']) && !text.ends_with(')') {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

/// Prints a shape as `[1, 3, height, width]`.
pub(crate) fn show(shape: &[Dim]) -> String {
    format!("[{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sizes_compare_equal_and_certainly_different_ones_different() {
        let h = Dim::symbol("height");
        let twice = h.affine(4, 0).and_then(|d| d.floor_div(2)).unwrap();
        assert_eq!(twice.same(&h.affine(2, 0).unwrap()), Same::Yes);
        assert_eq!(twice.same(&h.affine(2, -4).unwrap()), Same::No);
        let halved = h.floor_div(2).and_then(|d| d.affine(2, 0)).unwrap();
        assert_eq!(halved.same(&h), Same::Perhaps, "odd heights differ, even ones do not");
        assert_eq!(Dim::Known(3).same(&Dim::Known(4)), Same::No);
        assert_eq!(h.affine(1, -14).unwrap().to_string(), "height-14");
        assert_eq!(
            h.affine(1, -14).and_then(|d| d.affine(2, 0)).unwrap().to_string(),
            "2*height-28"
        );
    }

    #[test]
    fn a_side_that_would_vanish_is_refused() {
        assert_eq!(Dim::Known(4).affine(1, -4), None);
        assert_eq!(Dim::Known(1).floor_div(2), None);
    }
}
