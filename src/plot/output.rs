//! From a drawing to a file: PNG, SVG or CSV, complete or not at all.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use image::ImageEncoder as _;

use super::canvas::{Area, Canvas};
use super::{PlotError, Style};
use crate::text::safe;

/// Sides of a picture in pixels: below nothing can be read, above it would not fit in memory.
const SIDES: std::ops::RangeInclusive<u32> = 64..=16_384;
/// Pixels of a picture at most: 192 MB of memory.
const MAX_PIXELS: u64 = 1 << 26;

/// What a file's extension asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A bitmap.
    Png,
    /// A drawing.
    Svg,
    /// The data behind the picture.
    Csv,
}

impl Format {
    /// By the file's extension, upper or lower case.
    pub fn of(path: &Path) -> Result<Self, PlotError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "png" => Ok(Self::Png),
            "svg" => Ok(Self::Svg),
            "csv" => Ok(Self::Csv),
            _ => Err(PlotError::Extension { path: path.to_owned() }),
        }
    }
}

/// What is to be drawn, apart from the drawing.
pub struct Picture<'a> {
    /// Its name, for errors.
    pub id: &'static str,
    /// Its title, for screen readers.
    pub title: &'a str,
    /// Its size in pixels.
    pub size: (u32, u32),
    /// Its colours and text sizes.
    pub style: &'a Style,
}

/// The bytes of a picture: what `paint` draws, or what `data` says for CSV.
pub fn draw(
    picture: &Picture<'_>,
    format: Format,
    paint: &dyn Fn(&mut Canvas<'_>, Area),
    data: &dyn Fn() -> String,
) -> Result<Vec<u8>, PlotError> {
    let size = picture.size;
    if !SIDES.contains(&size.0)
        || !SIDES.contains(&size.1)
        || u64::from(size.0) * u64::from(size.1) > MAX_PIXELS
    {
        return Err(PlotError::Size { width: size.0, height: size.1 });
    }
    let draw = |canvas: &mut Canvas<'_>| {
        let area = canvas.area();
        canvas.fill(area, picture.style.roles().ground);
        paint(canvas, area);
    };
    let failed = |problem: String| PlotError::Draw { view: picture.id, problem };
    match format {
        Format::Csv => Ok(data().into_bytes()),
        Format::Svg => {
            let mut text = String::new();
            let mut canvas = Canvas::svg(&mut text, size);
            draw(&mut canvas);
            canvas.finish().map_err(failed)?;
            Ok(dress(&text, picture.title).into_bytes())
        }
        Format::Png => {
            let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
            let mut canvas =
                Canvas::bitmap(&mut pixels, size).ok_or_else(|| failed("no bitmap".to_owned()))?;
            draw(&mut canvas);
            canvas.finish().map_err(failed)?;
            let mut bytes = Vec::new();
            image::codecs::png::PngEncoder::new(&mut bytes)
                .write_image(&pixels, size.0, size.1, image::ColorType::Rgb8)
                .map_err(|e| failed(e.to_string()))?;
            Ok(bytes)
        }
    }
}

/// One SVG of the same picture on a light and on a dark ground: viewers that know which their reader
/// prefers show that one, others the light one.
pub fn adaptive(light: &str, dark: &str) -> String {
    let Some((head, _)) = light.split_once('>') else { return light.to_owned() };
    let inside = |svg: &'_ str| -> String {
        let body = svg.split_once('>').map_or(svg, |(_, body)| body);
        body.rsplit_once("</svg>").map_or(body, |(body, _)| body).trim().to_owned()
    };
    format!(
        "{head}>\n<style>.paritty-dark{{display:none}}@media (prefers-color-scheme: dark)\
         {{.paritty-light{{display:none}}.paritty-dark{{display:inline}}}}</style>\n\
         <g class=\"paritty-light\">{}</g>\n<g class=\"paritty-dark\">{}</g>\n</svg>\n",
        inside(light),
        inside(dark)
    )
}

/// Gives the drawing a title for screen readers, and sharp edges to rectangles so that neighbours
/// show no seam when the drawing is scaled.
fn dress(svg: &str, title: &str) -> String {
    let Some((head, body)) = svg.split_once('>') else { return svg.to_owned() };
    let title = safe(title).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "{head}>\n<title>paritty: {title}</title>\n<style>rect{{shape-rendering:crispEdges}}</style>{body}"
    )
}

/// Writes `bytes` to `path`: beside it first, then by renaming, so that nobody sees half a file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), PlotError> {
    let failed = |source| PlotError::Write { path: path.to_owned(), source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".paritty-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any new file: what the user's mask leaves.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}
