//! Rows as honest engines make them: none may be called garbage.

use super::random::Noise;
use super::{Judgement, analyze_text, printed, printed_from};

/// Rows of one checkpoint of one kind of model.
fn honest(noise: &mut Noise, kind: u64, n: usize) -> (Vec<Vec<f32>>, &'static str, usize) {
    let width = [10, 10, 32, 300][noise.below(4) as usize];
    let bias = noise.row(width);
    let mut rows: Vec<Vec<f32>> =
        (0..n).map(|_| bias.iter().map(|b| 2.0 * b - 3.0 + noise.normal()).collect()).collect();
    let mut at = "logits";
    let unused = 1 + noise.below(4) as usize;
    for row in &mut rows {
        match kind {
            // Tokens that are never predicted: their weights are zero …
            0 => row[..unused].fill(0.0),
            // … or trained to be far below all others.
            1 => row[..unused].fill(-20.0),
            2 => row[1] = 0.0,
            3 => row[..unused].fill(f32::NEG_INFINITY),
            // A padded vocabulary.
            4 => {
                let from = width * 4 / 5;
                row[from..].fill(0.0);
            }
            // Rectified, and half of it gone.
            5 => {
                row.iter_mut().for_each(|x| *x = (*x + 3.0).max(0.0));
                at = "ffn_gelu-1";
            }
            // Probabilities that underflow.
            6 => {
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                row.iter_mut().for_each(|x| *x = ((*x - most) * 20.0).exp());
                at = "kq_soft_max-1";
            }
            // A quantised embedding, with zeros among few different values.
            7 => {
                row.iter_mut().for_each(|x| *x = (*x * 2.0).round() * 0.011);
                at = "embd";
            }
            // Massive activations.
            8 => {
                row[width / 2] = 8_000.0;
                at = "l_out-5";
            }
            // A channel whose norm weight is zero.
            9 => {
                row[3] = 0.0;
                at = "attn_norm-2";
            }
            // Small, as before the first norm: with six decimals little is left of it.
            10 => {
                row.iter_mut().for_each(|x| *x *= 1e-4);
                at = "inpL";
            }
            _ => at = "Kcur-0",
        }
    }
    (rows, at, width)
}

#[test]
fn ten_thousand_honest_rows_by_runs_raise_nothing() {
    let mut noise = Noise::new(77);
    let (mut rows_seen, mut runs) = (0, 0);
    while rows_seen < 10_000 {
        let n = [3, 8, 14, 40][noise.below(4) as usize];
        let kind = runs % 12;
        let (rows, at, width) = honest(&mut noise, kind, n);
        let leading: Vec<Vec<f32>> = rows.iter().map(|r| r[..10].to_vec()).collect();
        // Exact bits, six decimals, and the first ten values of many in six decimals.
        let exact: String = rows
            .iter()
            .enumerate()
            .map(|(p, row)| {
                let values: Vec<String> = row
                    .iter()
                    .map(|x| if x.is_infinite() { "\"-Infinity\"".into() } else { format!("{x:.8e}") })
                    .collect();
                // Scores and probabilities have an axis of heads.
                format!(
                    "{{\"checkpoint\":\"{at}\",\"token_idx\":{},\"shape\":[{width},1],\"values\":[{}]}}\n",
                    p + 400,
                    values.join(",")
                )
            })
            .collect();
        // Six decimals have no infinity; a mask is written as a large negative number there.
        let finite = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
            rows.iter().map(|r| r.iter().map(|x| x.max(-1e4)).collect()).collect()
        };
        for (form, text) in [
            ("exact", exact),
            ("six decimals", printed_from(400, &finite(&rows), at, width)),
            ("ten of many", printed_from(400, &finite(&leading), at, 151_936)),
        ] {
            let a = analyze_text(&text);
            assert_eq!(
                a.garbage,
                0,
                "{form}, kind {kind}: {:?}\n{}",
                a.classes,
                &text[..text.len().min(1500)]
            );
        }
        rows_seen += 3 * n;
        runs += 1;
    }
}

#[test]
fn a_padded_vocabulary_is_reported_as_nobodys_fault() {
    let mut noise = Noise::new(8);
    let (rows, at, width) = honest(&mut noise, 4, 14);
    let a = analyze_text(&printed(&rows, at, width));
    let tally = &a.classes["padded-vocabulary"];
    assert_eq!((tally.rows, tally.blame), (14, paritty::garbage::Blame::Nobody));
}

#[test]
fn what_follows_from_a_zero_embedding_is_nobodys_fault() {
    let zeros = vec!["0"; 16].join(",");
    let mut text = String::new();
    for (position, token) in [3, 0, 5].into_iter().enumerate() {
        text += &format!("{{\"token_idx\":{position},\"token\":{token}}}\n");
        for name in ["embd", "attn_norm-0", "Qcur-0", "l_out-0"] {
            let values: Vec<String> = (0..16).map(|i| format!("{}.5", i + position + name.len())).collect();
            let values = if token == 0 { zeros.clone() } else { values.join(",") };
            text +=
                &format!("{{\"checkpoint\":\"{name}\",\"token_idx\":{position},\"values\":[{values}]}}\n");
        }
    }
    let a = analyze_text(&text);
    assert_eq!(a.garbage, 0, "{:?}", a.classes);
    let kernel = text.replace("{\"checkpoint\":\"embd\"", "{\"checkpoint\":\"other\"");
    assert!(analyze_text(&kernel).garbage > 0, "without that, zeros are worth a question");
}

/// A mask that leaves two positions the same one to see repeats attention's output honestly, and what follows is
/// computed from it; where what follows is not, the recorder wrote an old buffer again.
#[test]
fn a_repeat_that_the_engine_went_on_with_is_not_stale() {
    let row = |p: u32, salt: f32| (0..16).map(|i| (i as f32 + salt).sin() * (p as f32 + 1.5)).collect();
    let embedded: Vec<Vec<f32>> = (0..4).map(|p| row(p, 0.25)).collect();
    let attended: Vec<f32> = row(0, 7.0);
    let record = |sums: &dyn Fn(usize) -> Vec<f32>| {
        let mut text = String::new();
        for (p, embd) in embedded.iter().enumerate() {
            for (name, values) in
                [("embd", embd.clone()), ("attn_out-0", attended.clone()), ("ffn_inp-0", sums(p))]
            {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                text += &format!(
                    "{{\"checkpoint\":\"{name}\",\"team\":\"e\",\"token_idx\":{p},\"dtype\":\"f32\",\"shape\":[16],\"values\":[{}]}}\n",
                    values.join(",")
                );
            }
        }
        analyze_text(&text)
    };
    let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f32>>();
    let used = record(&|p| sum(&embedded[p], &attended));
    assert_eq!(used.judgement(), Judgement::Sound, "{:?}", used.findings);
    let stale = &used.classes["stale"].best.1;
    assert!(stale.evidence.contains("ffn_inp-0 follows from them"), "{}", stale.evidence);
    let unused = record(&|p| sum(&embedded[p], &row(p as u32, 7.0)));
    assert_eq!((unused.judgement(), unused.instrument), (Judgement::Instrument, 3), "{:?}", unused.findings);
}
