//! One document with everything in it, written by every format; most of it hostile.

use super::*;

const HOSTILE: &str = "<script>alert('x')</script> & \u{1b}[2J|pipe, \"quote\"\nline `code` *b* _e_ \u{202e}";

fn write(format: &str, document: &Document) -> String {
    let mut out = Vec::new();
    super::format(format).unwrap().write(document, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn table() -> Table {
    let columns = vec![
        Column::new("name", "name"),
        Column::new("error", "error").unit("nats"),
        Column::new("severity", "× noise"),
    ];
    let mut table = Table::new("figures", columns).caption(HOSTILE);
    table.row(vec!["Kcur_rope-7".into(), Value::Figure(0.012_345_678_9), Severity(214.25).into()]);
    table.row(vec![HOSTILE.into(), Value::Figure(f64::NAN), Severity(f32::INFINITY).into()]);
    table.row(vec!["short".into()]);
    table
}

use crate::compare::Severity;

fn document() -> Document {
    let mut document = Document::new(HOSTILE);
    document
        .paragraph(Tone::Bad, HOSTILE)
        .list(vec![(Tone::Plain, HOSTILE.into()), (Tone::Good, "fine".into())]);
    document.heading("One").table(table()).heading(HOSTILE).code(HOSTILE).heading("Three");
    document.picture("a/../b c", HOSTILE, "<?xml version=\"1.0\"?><svg><rect/></svg>\n".into());
    document
}

#[test]
fn nothing_controls_the_terminal_whatever_the_format() {
    for format in FORMATS {
        let text = write(format.id(), &document());
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.chars().all(|c| c == '\n' || !c.is_control()), "{}: {text:?}", format.id());
        assert!(!text.contains('\u{202e}') && !text.contains("\u{1b}[2J"), "{}: {text:?}", format.id());
        assert_eq!(super::format(format.id()).unwrap().id(), format.id());
    }
    assert_eq!(format("table").unwrap().id(), "text");
    assert!(format("pdf").is_none());
}

#[test]
fn text_lines_up() {
    let mut document = Document::new("unseen");
    document.paragraph(Tone::Good, "within noise").list(vec![(Tone::Plain, "figures".into())]);
    let mut table = Table { caption: None, ..table() };
    table.rows.remove(1);
    document.table(table).paragraph(Tone::Plain, "end");
    let text = anstream::adapter::strip_str(&write("text", &document)).to_string();
    let expected = "\
within noise
  figures

name         error (nats)  × noise
Kcur_rope-7        0.0123     214×
short                   –        –

end
";
    assert_eq!(text, expected);
}

#[test]
fn a_page_is_markup_of_ours_only() {
    let text = write("html", &document());
    assert!(!text.contains("<script") && text.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    assert!(text.contains("<svg><rect/></svg>") && !text.contains("<?xml"));
    assert!(text.contains("<nav") && text.contains("href=\"#s3\"") && text.contains("<h2 id=\"s3\">Three"));
    assert!(text.contains("prefers-color-scheme: dark"));
    // Nothing is loaded from anywhere.
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert!(text.contains("title=\"0.0123456789\"><span>0.0123</span>"));
    // Every element that is opened is closed.
    for tag in ["table", "tr", "td", "th", "ul", "li", "p", "figure", "div", "nav", "main", "pre"] {
        let opened = text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let mut short = Document::new("short");
    short.heading("Only");
    assert!(!write("html", &short).contains("<nav"));
}

#[test]
fn markdown_shows_what_was_said() {
    let text = write("markdown", &document());
    assert_eq!(text.matches("<script").count(), 1, "in the code block alone: {text}");
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with('|')).collect();
    assert_eq!(rows.len(), 5, "{text}");
    for row in &rows {
        let bars = row.match_indices('|').filter(|(i, _)| *i == 0 || row.as_bytes()[i - 1] != b'\\');
        assert_eq!(bars.count(), 4, "{row}");
    }
    assert_eq!(rows[1], "| :-- | --: | --: |");
    assert_eq!(rows[2], "| Kcur_rope-7 | 0.0123 | **214×** |");
    assert!(text.contains("\n```\n<script>"), "code is shown as it stands: {text}");
    assert!(text.contains("*Picture, not written: "));
    let mut code = Document::new("# 1. title");
    code.code("````");
    assert_eq!(write("markdown", &code), "# \\# 1. title\n\n`````\n````\n`````\n");
    let mut list = Document::new("x");
    list.paragraph(Tone::Plain, "12. no list").paragraph(Tone::Plain, "- no list").list(vec![]);
    assert_eq!(write("markdown", &list), "# x\n\n12\\. no list\n\n\\- no list\n");
}

#[test]
fn markdown_writes_its_pictures_beside() {
    let folder = tempfile::TempDir::new().unwrap();
    let pictures = folder.path().join("new").join("some pictures");
    let mut out = Vec::new();
    with_pictures(&document(), &pictures, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(&format!("](<{}/a----b-c.svg>)", pictures.display())), "{text}");
    assert!(std::fs::read_to_string(pictures.join("a----b-c.svg")).unwrap().contains("<svg>"));
}

#[test]
fn csv_keeps_figures_in_full_and_runs_no_formula() {
    let mut document = Document::new("x");
    let mut one = Table::new("one", vec![Column::new("a", "A"), Column::new("b", "B")]);
    one.row(vec!["=1+1".into(), Value::Figure(-1.0 / 3.0)]);
    one.row(vec!["a,\"b\"\r\nc".into(), Value::Times(0.1)]);
    one.row(vec!["-5".into(), Value::Figure(1e-300)]);
    one.row(vec!["@x".into(), Value::Figure(f64::INFINITY)]);
    one.row(vec![Value::Flag(true), Value::Count(u64::MAX).toned(Tone::Good)]);
    document.table(one);
    let expected = "a,b\n'=1+1,-0.3333333333333333\n\"a,\"\"b\"\"\nc\",0.1\n-5,1e-300\n'@x,inf\ntrue,18446744073709551615\n";
    assert_eq!(write("csv", &document), expected);
    let mut two = Table::new("two", vec![Column::new("c", "C")]);
    two.row(vec![Value::Missing]);
    document.table(two).table(Table::new("empty", Vec::new()));
    let text = write("csv", &document);
    assert!(text.starts_with("table,a,b\none,'=1+1,") && text.ends_with("\n\ntable,c\ntwo,\n"), "{text}");
}

#[test]
fn json_has_every_table_by_name() {
    let text = write("json", &document());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["title"], HOSTILE);
    assert_eq!(json["text"][0]["tone"], "bad");
    let rows = &json["tables"]["figures"];
    assert_eq!(rows[0]["error"], 0.012_345_678_9);
    assert_eq!(rows[0]["severity"], 214.25);
    assert_eq!(rows[1]["name"], HOSTILE);
    assert_eq!(rows[1]["error"], "NaN");
    assert!(rows[2]["severity"].is_null());
}

#[test]
fn an_empty_document_is_fine() {
    for format in FORMATS {
        let _ = write(format.id(), &Document::default());
    }
    let mut document = Document::new("");
    document.push(Block::Table(Table::new("", Vec::new())));
    document.push(Block::Table(Table { rows: vec![vec![Value::Missing; 3]], ..Table::default() }));
    for format in FORMATS {
        let _ = write(format.id(), &document);
    }
}
