//! The comparer's own promises: a comparer that cannot fail proves nothing.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    compare::compare,
    discover::Found,
    expected,
    pending::{self, Pending},
    report::{Outcome, Totals},
    rule::{Rule, Rules},
    runners,
    tensor::{Tensor, Values},
    weights,
};

/// One test.
pub type Check = fn() -> Result<(), String>;

/// Every promise, by name.
pub fn all() -> Vec<(&'static str, Check)> {
    vec![
        ("not_a_number_and_infinity_are_never_near", not_numbers),
        ("shapes_and_dtypes_must_be_equal", shapes),
        ("integers_are_equal_where_a_rule_gives_less_than_one", integers),
        ("a_fraction_counts_what_lies_outside", fractions),
        ("psnr_is_a_bar_of_its_own", quality),
        ("an_override_replaces_the_default_as_a_whole", overrides),
        ("floats_without_a_rule_are_an_error", no_rule),
        ("unknown_fields_of_a_rule_are_refused", unknown_fields),
        ("scalars_differ_by_path", scalars),
        ("weights_follow_the_splitmix64_rule", splitmix),
        ("a_pending_line_that_passes_or_matches_nothing_fails", pending_lines),
        ("a_line_of_a_group_covers_what_nobody_computes", group_lines),
        ("a_component_that_nobody_computes_fails", unknown_component),
    ]
}

fn require(held: bool, what: &str) -> Result<(), String> {
    if held { Ok(()) } else { Err(what.to_owned()) }
}

fn floats(values: &[f64]) -> Tensor {
    Tensor::f64(&[values.len()], values)
}

fn passes(want: &Tensor, got: &Tensor, rule: &Rule) -> bool {
    compare(want, got, rule).is_ok()
}

fn not_numbers() -> Result<(), String> {
    let rule = Rule::near(1e9, 1e9);
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    for (want, got, held) in [
        (nan, nan, true),
        (inf, inf, true),
        (1.0, nan, false),
        (nan, 1.0, false),
        (inf, -inf, false),
        (inf, 1.0, false),
        (1.0, inf, false),
    ] {
        require(
            passes(&floats(&[want]), &floats(&[got]), &rule) == held,
            &format!("{got} for {want}"),
        )?;
    }
    Ok(())
}

fn shapes() -> Result<(), String> {
    let rule = Rule::near(1.0, 1.0);
    let want = Tensor::f32(&[2, 1], &[0.0, 0.0]);
    require(passes(&want, &want, &rule), "a tensor equals itself")?;
    require(
        !passes(&want, &Tensor::f32(&[1, 2], &[0.0, 0.0]), &rule),
        "another shape",
    )?;
    require(
        !passes(&want, &Tensor::f64(&[2, 1], &[0.0, 0.0]), &rule),
        "another dtype",
    )
}

fn integers() -> Result<(), String> {
    let (want, near) = (Tensor::u8(&[2], &[10, 200]), Tensor::u8(&[2], &[10, 201]));
    require(
        !passes(&want, &near, &Rule::near(0.5, 1.0)),
        "rel must not apply to integers",
    )?;
    require(passes(&want, &near, &Rule::near(1.0, 0.0)), "abs of 1 allows 1")?;
    require(
        !passes(&want, &Tensor::u8(&[2], &[10, 202]), &Rule::near(1.0, 0.0)),
        "abs of 1 forbids 2",
    )?;
    let bools = |values: &[i64]| Tensor {
        dtype: "bool",
        shape: vec![values.len()],
        values: Values::Integer(values.to_vec()),
    };
    require(
        !passes(&bools(&[0, 1]), &bools(&[0, 0]), &Rule::near(9.0, 0.0)),
        "bools are equal whatever the rule says",
    )
}

fn fractions() -> Result<(), String> {
    let want = Tensor::u8(&[200], &[100; 200]);
    let with = |changes: &[(usize, u8)]| {
        let mut values = [100; 200];
        changes.iter().for_each(|(at, value)| values[*at] = *value);
        Tensor::u8(&[200], &values)
    };
    let rule = Rule {
        exact_fraction: Some(0.995),
        max_abs: Some(1.0),
        ..Rule::default()
    };
    require(passes(&want, &with(&[(3, 101)]), &rule), "one in 200 is 0.5 %")?;
    require(!passes(&want, &with(&[(3, 101), (4, 99)]), &rule), "two in 200 are not")?;
    require(!passes(&want, &with(&[(3, 102)]), &rule), "none further than max_abs")?;
    let near = Rule {
        exact_fraction: Some(0.5),
        abs: Some(0.1),
        ..Rule::default()
    };
    require(
        passes(&floats(&[0.0, 0.0]), &floats(&[0.05, 9.0]), &near),
        "the rest is free",
    )?;
    require(
        !passes(&floats(&[0.0, 0.0]), &floats(&[0.2, 9.0]), &near),
        "but the fraction is not",
    )
}

fn quality() -> Result<(), String> {
    let rule = Rule {
        abs: Some(0.5),
        psnr: Some(40.0),
        ..Rule::default()
    };
    let want = floats(&[0.0; 4]);
    require(passes(&want, &floats(&[0.001; 4]), &rule), "60 dB pass a bar of 40")?;
    require(!passes(&want, &floats(&[0.1; 4]), &rule), "20 dB within abs do not")?;
    require(
        !passes(
            &want,
            &floats(&[0.0, 0.0, 0.0, 0.6]),
            &Rule {
                psnr: Some(1.0),
                ..rule
            },
        ),
        "nor abs past its bound",
    )
}

fn overrides() -> Result<(), String> {
    let tolerance = json!({"max_abs": 1, "exact_fraction": 0.99, "f": {"abs": 1e-3}, "unused": {"abs": 1.0}});
    let rules = Rules::parse("vision", Some(&tolerance), None)?;
    require(
        rules.of("f", &floats(&[0.0]))?
            == Rule {
                abs: Some(1e-3),
                ..Rule::default()
            },
        "an override keeps fields",
    )?;
    require(rules.of("g", &floats(&[0.0]))?.max_abs == Some(1.0), "the default")?;
    let table = json!({"sample": {"abs": 0.5}, "mid.a": {"abs": 0.25}});
    let rules = Rules::parse("diffusion", Some(&json!({"abs": 9.0})), Some(&table))?;
    require(rules.of("mid.a", &floats(&[0.0]))?.abs == Some(0.25), "intermediates")?;
    require(
        rules.of("other", &floats(&[0.0]))? == Rule::near(2e-6, 1e-5),
        "a name that the table has not",
    )?;
    let rules = Rules::parse("vsr", Some(&json!({"abs": 9.0})), None)?;
    require(
        rules.of("images", &Tensor::u8(&[1], &[0]))?.exact_fraction == Some(0.999),
        "vsr images",
    )?;
    require(
        rules.of("mask", &Tensor::u8(&[1], &[0]))? == Rule::exact(),
        "other u8 of vsr",
    )
}

fn no_rule() -> Result<(), String> {
    let rules = Rules::parse("vision", None, None)?;
    require(rules.of("x", &floats(&[0.0])).is_err(), "floats without a tolerance")?;
    require(
        rules.of("x", &Tensor::i32(&[1], &[0]))? == Rule::exact(),
        "integers are equal",
    )
}

fn unknown_fields() -> Result<(), String> {
    for tolerance in [
        json!({"abs": 1, "ulp": 3}),
        json!({"x": {"ulp": 3}}),
        json!({"abs": "1"}),
        json!(3),
    ] {
        require(
            Rules::parse("vision", Some(&tolerance), None).is_err(),
            &tolerance.to_string(),
        )?;
    }
    Ok(())
}

fn scalars() -> Result<(), String> {
    let want = json!({"a": [1, 2.0, "x"], "b": {"psnr": "inf", "ok": true}});
    let near = |got: &Value| expected::compare(&want, got, &Rule::near(1e-3, 0.0));
    require(
        near(&json!({"a": [1, 2.0005, "x"], "b": {"psnr": "inf", "ok": true}})).is_ok(),
        "within abs",
    )?;
    for got in [
        json!({"a": [2, 2.0, "x"], "b": {"psnr": "inf", "ok": true}}),
        json!({"a": [1, 2.1, "x"], "b": {"psnr": "inf", "ok": true}}),
        json!({"a": [1, 2.0, "y"], "b": {"psnr": "inf", "ok": true}}),
        json!({"a": [1, 2.0], "b": {"psnr": "inf", "ok": true}}),
        json!({"a": [1, 2.0, "x"], "b": {"psnr": 40.0, "ok": true}}),
        json!({"a": [1, 2.0, "x"], "b": {"psnr": "inf", "ok": false}}),
        json!({"a": [1, 2.0, "x"], "b": {"psnr": "inf"}}),
        json!({"a": [1, 2.0, "x"], "b": {"psnr": "inf", "ok": true}, "c": 1}),
    ] {
        require(near(&got).is_err(), &got.to_string())?;
    }
    Ok(())
}

fn splitmix() -> Result<(), String> {
    let rule = json!({"name": "splitmix64-v1", "seed": 7, "tensors": {
        "conv_in.weight": [[2, 2], 0.0, 0.25],
        "bn.num_batches_tracked": [[], 0, 0],
    }});
    let tensors = weights::by_rule(&rule)?;
    // As f32 bits: decimals would be rounded on the way.
    let want = [0xbe62_2084u32, 0xbe25_b507, 0x3dd3_a5cd, 0xbe6e_35f2].map(f32::from_bits);
    require(
        tensors["conv_in.weight"] == Tensor::f32(&[2, 2], &want),
        "values of the rule",
    )?;
    require(
        tensors["bn.num_batches_tracked"].dtype == "int64",
        "counters are int64 zero",
    )?;
    require(
        weights::by_rule(&json!({"name": "other", "seed": 7, "tensors": {}})).is_err(),
        "another rule",
    )
}

fn found(component: &str, own: bool) -> Found {
    Found {
        set: "vision".to_owned(),
        group: "filters".to_owned(),
        name: component.to_owned(),
        component: component.to_owned(),
        own,
        path: PathBuf::new(),
        broken: None,
    }
}

fn pending_lines() -> Result<(), String> {
    let lines = pending::parse("# nothing\n\nvision/filters/filter.gray  9 # why\nvision/similarity  9\n")?;
    require(pending::parse("vision 9").is_err(), "a line without a group")?;
    require(
        pending::parse("vision/a 9\nvision/a 9").is_err(),
        "a line that stands twice",
    )?;
    require(lines[0].matches(&found("filter.gray", true)), "a component")?;
    require(!lines[0].matches(&found("filter.gray.x", true)), "no other component")?;
    let passed = || Outcome::Passed {
        error: 0.0,
        untapped: 0,
    };
    let failures = |outcomes: Vec<(Found, Outcome)>| {
        let mut totals = Totals::default();
        for (case, outcome) in outcomes {
            let line = Pending::of(&lines, &case);
            totals.add(&case, line, outcome);
        }
        totals.check_pending(&lines[..1], true, true);
        totals.failures().len()
    };
    let gray = || found("filter.gray", true);
    require(
        failures(vec![(gray(), Outcome::NoRunner)]) == 0,
        "pending is no failure",
    )?;
    require(
        failures(vec![(gray(), passed())]) == 1,
        "a line whose cases all pass must go",
    )?;
    require(
        failures(vec![(gray(), passed()), (gray(), Outcome::Failed(String::new()))]) == 0,
        "one is left",
    )?;
    require(
        failures(vec![(found("filter.gray", false), Outcome::NoRunner)]) == 1,
        "no case of the project's own",
    )
}

fn group_lines() -> Result<(), String> {
    let lines = pending::parse("vision/filters 10\nvision/filters/filter.gray 9\n")?;
    let line = |component: &str| Pending::of(&lines, &found(component, true)).map(|line| line.issue.as_str());
    require(line("filter.gray") == Some("9"), "the component's own line comes first")?;
    require(line("filter.canny") == Some("10"), "else the group's")?;
    let mut totals = Totals::default();
    totals.add(&found("a", true), lines.first(), Outcome::NoRunner);
    totals.add(&found("b", true), lines.first(), Outcome::Failed(String::new()));
    require(totals.failures().len() == 1, "a component that has a runner is judged")
}

fn unknown_component() -> Result<(), String> {
    require(
        runners::find("vision", "no.such.thing").is_none(),
        "an invented component",
    )?;
    let mut totals = Totals::default();
    totals.add(&found("no.such.thing", true), None, Outcome::NoRunner);
    require(totals.failures().len() == 1, "it counts as a failure")
}
