//! The colours of a report, for a light and a dark page.
//!
//! `plotters` writes colours as attributes (`fill="#0072B2"`). The style sheet selects them by that value and
//! replaces them by a variable, so charts follow the theme. The colours of series are those of Okabe and Ito (2008),
//! which people with any common kind of colour blindness can tell apart. On a dark page they have the same hues, but
//! lighter.

use plotters::style::RGBColor;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// Secondary text.
pub const MUTED: RGBColor = RGBColor(0x5A, 0x61, 0x6B);
/// Grid lines and tracks.
pub const FAINT: RGBColor = RGBColor(0xDD, 0xE1, 0xE6);
/// The page.
pub const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFE);

const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
];

/// Name of the variable, colour on a light page, colour on a dark one.
const THEME: [(&str, RGBColor, RGBColor); 10] = [
    ("ink", INK, RGBColor(0xE8, 0xEA, 0xED)),
    ("muted", MUTED, RGBColor(0xA3, 0xAB, 0xB6)),
    ("faint", FAINT, RGBColor(0x33, 0x39, 0x42)),
    ("paper", PAPER, RGBColor(0x14, 0x17, 0x1B)),
    ("s0", SERIES[0], RGBColor(0x3F, 0xA0, 0xE0)),
    ("s1", SERIES[1], RGBColor(0xFF, 0x80, 0x3C)),
    ("s2", SERIES[2], RGBColor(0x2F, 0xC4, 0x96)),
    ("s3", SERIES[3], RGBColor(0xE3, 0x9C, 0xC4)),
    ("s4", SERIES[4], RGBColor(0xF2, 0xC1, 0x4E)),
    ("s5", SERIES[5], RGBColor(0xA5, 0xDB, 0xFF)),
];

/// The colour of a series. The colours repeat after the sixth, where letters and markers tell the series apart.
pub fn series(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

/// The CSS class of a series.
pub fn class(index: usize) -> String {
    format!("s{}", index % SERIES.len())
}

/// The variables of both themes and the rules that use them.
pub fn css() -> String {
    let variables = |dark: bool| -> String {
        let value = |light: RGBColor, night: RGBColor| hex(if dark { night } else { light });
        THEME.iter().map(|&(name, light, night)| format!("--{name}:{};", value(light, night))).collect()
    };
    let (light, dark) = (variables(false), variables(true));
    let mut css = format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
    );
    for (name, colour, _) in THEME {
        let hex = hex(colour);
        css += &format!(
            "svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}\n"
        );
        css += &format!(".{name}{{color:var(--{name})}}\n");
    }
    css
}

/// The colour as `plotters` writes it.
fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}
