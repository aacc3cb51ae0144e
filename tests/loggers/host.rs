//! An engine of four threads that records with paritty_trace.rs and then ends in the way it is told.

mod paritty_trace;

use paritty_trace::{Info, Origin, Values};

const POSITIONS: u32 = 24;
const LAYERS: usize = 4;
const VOCABULARY: usize = 1000;

fn bits(position: u32, tag: u32, channel: u32) -> u32 {
    let x = position
        .wrapping_mul(1_000_003)
        .wrapping_add(tag.wrapping_mul(7919))
        .wrapping_add(channel.wrapping_mul(104_729))
        .wrapping_add(1)
        .wrapping_mul(2_654_435_761);
    (x ^ x >> 15).wrapping_mul(2_246_822_519)
}

fn wide(position: u32, tag: u32, count: u32) -> Vec<f32> {
    (0..count).map(|i| f32::from_bits(bits(position, tag, i))).collect()
}

fn narrow(position: u32, tag: u32, count: u32) -> Vec<u16> {
    (0..count).map(|i| (bits(position, tag, i) >> 16) as u16).collect()
}

fn layer(position: u32, layer: usize) {
    let tag = 10 * (layer as u32 + 1);
    paritty_trace::tensor(position, "Qcur", Some(layer), &[8, 4], Values::F16(&narrow(position, tag + 1, 32)));
    paritty_trace::tensor(position, "Kcur", Some(layer), &[8, 2], Values::Bf16(&narrow(position, tag + 2, 16)));
    paritty_trace::tensor(position, "l_out", Some(layer), &[64], &wide(position, tag + 3, 64));
}

/// Recorded by a destructor while a panic unwinds.
struct LastWords;

impl Drop for LastWords {
    fn drop(&mut self) {
        paritty_trace::tensor(0, "result_norm", None, &[16], &wide(0, 2, 16)[..]);
        paritty_trace::end();
    }
}

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let settings = [("kv", "f16"), ("threads", "4"), ("flash_attn", "false"), ("own", "a\"b")];
    paritty_trace::open(
        "host",
        &Info {
            backend: "CPU",
            model: "tiny \u{FFFD}",
            arch: "llama",
            weights: "Q8_0",
            n_layer: LAYERS as u32,
            n_embd: 64,
            n_vocab: VOCABULARY as u32,
            n_prompt: 5,
            prompt: "What \"light\"\n",
            settings: &settings,
        },
    );
    let piece = b"a\"\\\n\x01\xff\xe2\x82\0\xc3\xa9\xe6\xbc\xa2";
    for position in 0..POSITIONS {
        let from = if position < 5 { Origin::Prompt } else { Origin::Sample };
        paritty_trace::token(position, 7 * position, piece, from, 4);
    }
    let threads: Vec<_> = (0..LAYERS)
        .map(|l| std::thread::spawn(move || (0..POSITIONS).for_each(|position| layer(position, l))))
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for position in 0..POSITIONS {
        paritty_trace::tensor(position, "result_output", None, &[VOCABULARY], &wide(position, 1, 1000));
        paritty_trace::complete(position);
    }
    match &*mode {
        "rewind" => {
            paritty_trace::rewind(20);
            layer(20, 0);
        }
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "panic" => {
            let _last = LastWords;
            panic!("on purpose");
        }
        _ => {}
    }
    paritty_trace::end();
}
