//! Every picture from every kind of session.

mod scenes;

use std::path::Path;

use super::*;
use scenes::Kind;

#[allow(dead_code)]
fn svg(view: View, kind: Kind) -> String {
    let (snapshot, cursor) = scenes::build(kind);
    let scene = Scene { snapshot: &snapshot, cursor };
    String::from_utf8(encode(view, &scene, Format::Svg, None, Ground::Dark).expect("svg")).expect("utf-8")
}

/// Writes every picture of every scene into the folder named by `PARITTY_GALLERY`, for looking at.
#[test]
fn gallery() {
    let Some(folder) = std::env::var_os("PARITTY_GALLERY") else { return };
    let folder = Path::new(&folder);
    for kind in Kind::ALL {
        let (snapshot, cursor) = scenes::build(kind);
        for info in VIEWS {
            for (suffix, ground) in [("", Ground::Dark), ("-light", Ground::Light)] {
                let name = |ext: &str| folder.join(format!("{kind:?}-{}{suffix}.{ext}", info.id));
                for ext in ["png", "svg", "csv"] {
                    render_on(ground, info.view, &snapshot, cursor, &name(ext), None).expect("written");
                }
            }
            for size in [(640, 400), (2400, 1500)] {
                let target = folder.join(format!("{kind:?}-{}-{}x{}.png", info.id, size.0, size.1));
                render(info.view, &snapshot, cursor, &target, Some(size)).expect("written");
            }
        }
    }
}
