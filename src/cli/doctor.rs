//! `paritty doctor`: what is here, what is missing, how to get it.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::Outcome;
use crate::engine::cuda::cache::Cache;
use crate::engine::cuda::{device, library};
use crate::engine::open::Kind;
use crate::tui::graphics::Choice;
use crate::tui::graphics::ask::ask_aside;
use crate::tui::theme::Depth;

/// Show what this machine has: GPUs, NVIDIA's libraries, colours, llama.cpp; what is missing, and how
/// to get it.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One line of the report.
struct Finding {
    id: &'static str,
    title: &'static str,
    /// What is there, for people; or what is missing and how to get it.
    found: Result<String, String>,
    /// The same for machines.
    detail: Value,
}

impl DoctorArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let findings = findings();
        let mut out = anstream::stdout().lock();
        if self.json {
            let all: serde_json::Map<String, Value> = findings
                .iter()
                .map(|f| {
                    let report = json!({
                        "ok": f.found.is_ok(),
                        "found": f.found.as_ref().ok(),
                        "missing": f.found.as_ref().err(),
                        "detail": f.detail,
                    });
                    (f.id.to_owned(), report)
                })
                .collect();
            writeln!(out, "{:#}", Value::Object(all))?;
            return Ok(Outcome::Ok);
        }
        for finding in findings {
            let (mark, text) = match &finding.found {
                Ok(text) => ("ok", text),
                Err(text) => ("--", text),
            };
            let mut lines = text.lines();
            writeln!(out, "{mark}  {:<18} {}", finding.title, lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(out, "    {:<18} {line}", "")?;
            }
        }
        Ok(Outcome::Ok)
    }
}

fn findings() -> Vec<Finding> {
    let finding = |id, title, found, detail| Finding { id, title, found, detail };
    let driver = device::driver_version();
    let devices = device::list();
    let compiler = library::nvrtc();
    let cache = Cache::of_user();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let colours = Depth::detect(|name| std::env::var(name).ok());
    let best = Kind::best();
    vec![
        finding(
            "paritty",
            "paritty",
            Ok(format!("{}, engine where none is named: {best}", env!("CARGO_PKG_VERSION"))),
            json!({"version": env!("CARGO_PKG_VERSION"), "engine": best.to_string()}),
        ),
        finding("cpu", "processor", Ok(format!("{threads} threads")), json!({"threads": threads})),
        finding(
            "driver",
            "NVIDIA driver",
            driver.as_ref().map(|(major, minor)| format!("supports CUDA {major}.{minor}")).map_err(words),
            json!(driver.ok().map(|(major, minor)| format!("{major}.{minor}"))),
        ),
        finding(
            "devices",
            "GPUs",
            match &devices {
                Ok(found) if found.is_empty() => Err("the driver runs, but finds no GPU".into()),
                Ok(found) => Ok(found.iter().map(device_line).collect::<Vec<_>>().join("\n")),
                Err(error) => Err(words(error)),
            },
            json!(
                devices
                    .iter()
                    .flatten()
                    .map(|d| json!({
                        "engine": Kind::Cuda(d.ordinal).to_string(),
                        "name": d.name,
                        "architecture": d.architecture(),
                        "multiprocessors": d.multiprocessors,
                        "memory": d.memory,
                        "free": d.free,
                    }))
                    .collect::<Vec<_>>()
            ),
        ),
        finding(
            "nvrtc",
            "kernel compiler",
            match &compiler {
                Ok(n) => Ok(format!(
                    "NVRTC {}.{}{}",
                    n.version.0,
                    n.version.1,
                    n.path.as_ref().map(|p| format!(", {}", p.display())).unwrap_or_default()
                )),
                Err(error) => Err(words(error)),
            },
            json!({
                "version": compiler.as_ref().ok().map(|n| format!("{}.{}", n.version.0, n.version.1)),
                "path": compiler.as_ref().ok().and_then(|n| n.path.as_ref()).map(|p| p.display().to_string()),
                "looked_in": library::folders().iter().map(|p| p.display().to_string()).collect::<Vec<_>>(),
            }),
        ),
        finding(
            "kernels",
            "compiled kernels",
            match cache.folder() {
                Some(folder) => Ok(kept(folder)),
                None => Err("no home folder: kernels are compiled at every start; set XDG_CACHE_HOME".into()),
            },
            json!({"folder": cache.folder().map(|f| f.display().to_string())}),
        ),
        finding(
            "colours",
            "colours",
            match colours {
                Depth::Mono => Err("none: NO_COLOR is set, or TERM=dumb".into()),
                Depth::Ansi16 => Ok("16; more if TERM ends in -256color or COLORTERM=truecolor".into()),
                Depth::Indexed256 => Ok("256; all if COLORTERM=truecolor".into()),
                Depth::TrueColor => Ok("16 million".into()),
            },
            json!(format!("{colours:?}").to_lowercase()),
        ),
        graphics_finding(colours),
        finding("llama_cpp", "llama.cpp", llama_cpp(), json!(cfg!(feature = "llama-cpp"))),
    ]
}

/// How heatmaps would be shown: asks the terminal, if there is one.
fn graphics_finding(colours: Depth) -> Finding {
    let wanted = Choice::of_environment(|name| std::env::var(name).ok());
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let (found, placing) = match wanted {
        Err(error) => (Err(error.to_string()), None),
        Ok(_) if colours < Depth::Indexed256 => (Err("half blocks and pixels need 256 colours".into()), None),
        Ok(_) if !terminal => (Err("not asked: stdin or stdout is no terminal".into()), None),
        Ok(wanted) => match ask_aside(wanted.unwrap_or_default()) {
            Ok(found) => {
                let text = found.to_string();
                (found.placing.map(|_| text.clone()).ok_or(text), found.placing)
            }
            Err(error) => (Err(error.to_string()), None),
        },
    };
    let detail = placing.map(|p| {
        json!({"protocol": p.protocol.name(), "cell": [p.cell.width, p.cell.height], "colours": p.colors})
    });
    Finding { id: "graphics", title: "graphics", found, detail: json!(detail) }
}

fn words(error: &impl ToString) -> String {
    error.to_string().replace("; ", ";\n")
}

fn device_line(d: &device::About) -> String {
    format!(
        "{}: {}, {}, {} multiprocessors, {} of {} free",
        Kind::Cuda(d.ordinal),
        d.name,
        d.architecture(),
        d.multiprocessors,
        HumanBytes(d.free),
        HumanBytes(d.memory)
    )
}

fn kept(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes: Vec<u64> = entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).collect();
    format!(
        "{}: {}, {}",
        folder.display(),
        crate::figures::count(sizes.len(), "file"),
        HumanBytes(sizes.iter().sum())
    )
}

#[cfg(feature = "llama-cpp")]
#[expect(clippy::unnecessary_wraps, reason = "the same in every build")]
fn llama_cpp() -> Result<String, String> {
    Ok("built in (--engine llama.cpp, --reference llama.cpp)".into())
}

#[cfg(not(feature = "llama-cpp"))]
fn llama_cpp() -> Result<String, String> {
    Err(super::trace::NO_LLAMA_CPP.replace(": install", ":\ninstall").replace(", then", ",\nthen"))
}
