//! Colours and type of the page and of its figures.
//!
//! Grey is theory, colour is measurement, hollow is null. Networks take the colours of Okabe and
//! Ito, which people with any colour vision tell apart; vermilion is kept for misfit.

/// Colours by name: in light, in dark.
const COLOURS: [(&str, &str, &str); 38] = [
    ("paper", "#ffffff", "#14171c"),
    ("wash", "#f4f6f8", "#1d2229"),
    ("ink", "#1a1f26", "#e8ebef"),
    ("soft", "#57606a", "#a3adb8"),
    ("rule", "#d5dbe1", "#353d47"),
    ("grid", "#e9edf0", "#262c34"),
    ("ray", "#c3cad1", "#414a55"),
    ("theory", "#7d8792", "#8f99a5"),
    ("hue0", "#0072b2", "#4aa8e0"),
    ("hue1", "#e69f00", "#f0b030"),
    ("hue2", "#009e73", "#21c496"),
    ("hue3", "#b8578f", "#e08fbd"),
    ("hue4", "#56b4e9", "#9ad4f7"),
    ("directions", "#8a3500", "#c4501a"),
    ("order", "#e06a1b", "#f09048"),
    ("shape", "#f6bd8e", "#f8d5b5"),
    ("good", "#00694d", "#3fd0a2"),
    ("fair", "#7a5800", "#e8bd52"),
    ("poor", "#a83e00", "#ff9a5c"),
    ("link", "#005a8d", "#7cc4f0"),
    // The colours of maps: equal steps of lightness (OKLab L); warm is for misfit and its parts.
    ("warm0", "#fdf2e7", "#2a1d15"),
    ("warm1", "#f9d1b0", "#532913"),
    ("warm2", "#f3af7d", "#803306"),
    ("warm3", "#ea8b50", "#a54607"),
    ("warm4", "#dc681a", "#c95c14"),
    ("warm5", "#bb530f", "#e57a38"),
    ("warm6", "#9b4004", "#f0a36d"),
    ("warm7", "#7b2e00", "#f8c9a2"),
    ("warm8", "#5a2000", "#fdeedf"),
    ("cool0", "#edf5fa", "#152430"),
    ("cool1", "#c2dff2", "#143b57"),
    ("cool2", "#97c9e9", "#085381"),
    ("cool3", "#6eb2de", "#006daa"),
    ("cool4", "#409bd2", "#2788c4"),
    ("cool5", "#2183bf", "#46a4dc"),
    ("cool6", "#006ba7", "#73c0ed"),
    ("cool7", "#005486", "#abd9f5"),
    ("cool8", "#003f66", "#dff1fc"),
];

/// The style of figures, in the names of [`COLOURS`].
const FIGURE: &str = "
text { font: 11px system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif; fill: var(--ink); }
.head { font-size: 13.5px; font-weight: 650; }
.sub { fill: var(--soft); }
.name, .num { fill: var(--soft); font-size: 10.5px; }
.key { font-size: 11px; }
.strong { font-weight: 650; }
.mid { text-anchor: middle; }
.end { text-anchor: end; }
.paper { fill: var(--paper); }
.wash { fill: var(--wash); }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis, .tick { stroke: var(--theory); stroke-width: 1; }
.limit { stroke: var(--theory); stroke-width: 1; stroke-dasharray: 3 2; }
.ray { stroke: var(--ray); stroke-width: 1; fill: none; }
.ray.mine { stroke: var(--theory); stroke-width: 1.5; }
.raylabel { fill: var(--theory); font-size: 10px; stroke: var(--paper); stroke-width: 2.5px; stroke-linejoin: round; paint-order: stroke; }
.raylabel.mine { fill: var(--soft); font-weight: 650; }
.disc { stroke: var(--paper); stroke-width: 0.8; fill-opacity: 0.9; }
.ring { fill: none; stroke: var(--ink); stroke-width: 1; }
.ring.faint { stroke-opacity: 0.35; }
.path { fill: none; stroke-width: 1; stroke-opacity: 0.4; }
.stair { fill: none; stroke-width: 1.8; stroke-opacity: 0.9; }
.hollow { fill: var(--paper); fill-opacity: 0.8; stroke: var(--soft); stroke-width: 1.1; }
.mark.soft { fill: var(--soft); }
.part-directions { fill: var(--directions); }
.part-order { fill: var(--order); }
.part-shape { fill: var(--shape); }
.seed { fill-opacity: 0.4; }
.half { fill-opacity: 0.35; stroke-width: 1.2; }
.half.soft { fill: var(--soft); stroke: var(--soft); }
.open { fill: var(--paper); fill-opacity: 0.85; stroke-width: 1.5; }
.halo { fill: none; stroke: var(--paper); stroke-width: 5; stroke-opacity: 0.75; stroke-linejoin: round; }
.border { fill: none; stroke: var(--theory); stroke-width: 2.2; stroke-linejoin: round; }
.none { fill: var(--wash); }
.pale { fill-opacity: 0.22; }
.value { font-size: 9.5px; text-anchor: middle; stroke: var(--paper); stroke-width: 2px; stroke-opacity: 0.7; stroke-linejoin: round; paint-order: stroke; }
.value.light { fill: var(--paper); stroke: var(--ink); }
.holds { fill: var(--good); } .approximate { fill: var(--fair); } .fails { fill: var(--poor); } .undetermined { fill: var(--soft); }
.warm0 { fill: var(--warm0); } .warm1 { fill: var(--warm1); } .warm2 { fill: var(--warm2); } .warm3 { fill: var(--warm3); } .warm4 { fill: var(--warm4); } .warm5 { fill: var(--warm5); } .warm6 { fill: var(--warm6); } .warm7 { fill: var(--warm7); } .warm8 { fill: var(--warm8); }
.cool0 { fill: var(--cool0); } .cool1 { fill: var(--cool1); } .cool2 { fill: var(--cool2); } .cool3 { fill: var(--cool3); } .cool4 { fill: var(--cool4); } .cool5 { fill: var(--cool5); } .cool6 { fill: var(--cool6); } .cool7 { fill: var(--cool7); } .cool8 { fill: var(--cool8); }
.f0 { fill: var(--hue0); } .s0 { stroke: var(--hue0); }
.f1 { fill: var(--hue1); } .s1 { stroke: var(--hue1); }
.f2 { fill: var(--hue2); } .s2 { stroke: var(--hue2); }
.f3 { fill: var(--hue3); } .s3 { stroke: var(--hue3); }
.f4 { fill: var(--hue4); } .s4 { stroke: var(--hue4); }
";

/// The style of the page.
const PAGE: &str = "
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif; overflow-wrap: break-word; }
a { color: var(--link); text-underline-offset: .15em; }
.over { margin: 0 0 1rem; color: var(--soft); font-size: .875rem; }
.over span + span::before { content: '\\00b7'; margin: 0 .5em; }
.over .study { color: var(--ink); font-weight: 650; }
h1 { margin: 0 0 1.5rem; max-width: 32em; font: 400 clamp(1.45rem, 1.1rem + 1.7vw, 2.15rem)/1.28 'Iowan Old Style', 'Palatino Linotype', Palatino, Charter, 'Source Serif 4', Georgia, Cambria, 'Liberation Serif', serif; text-wrap: pretty; }
h1 .evidence { font-weight: 700; }
h1 .glyph { font-family: system-ui, 'DejaVu Sans', sans-serif; }
.met { color: var(--good); } .missed { color: var(--poor); } .unchecked { color: var(--soft); }
.counts { display: flex; flex-wrap: wrap; gap: .75rem 2.5rem; margin: 0; padding: .9rem 0; border-block: 1px solid var(--rule); }
.counts dt { color: var(--soft); font-size: .8125rem; }
.counts dd { margin: 0; font-weight: 600; }
nav { margin-top: .9rem; font-size: .875rem; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; }
section { margin-top: 3.25rem; }
h2 { margin: 0 0 .4rem; font-size: .875rem; font-weight: 600; color: var(--soft); }
h3 { margin: 1.6rem 0 .4rem; font-size: 1rem; }
h4 { margin: 1rem 0 .3rem; font-size: .875rem; }
p { margin: .5rem 0; max-width: 46em; }
figure { margin: 0; }
figure + figure { margin-top: 2.5rem; }
.finding { margin: 0 0 .6rem; font-size: 1.1875rem; line-height: 1.4; font-weight: 600; max-width: 44em; text-wrap: pretty; }
.reading { margin-top: .9rem; color: var(--soft); font-size: .875rem; max-width: 54em; }
.keys { display: flex; flex-wrap: wrap; gap: .15rem 1.3rem; margin: 0 0 .9rem; padding: 0; list-style: none; font-size: .8125rem; color: var(--soft); }
.keys li { display: flex; align-items: center; gap: .4rem; }
.keys svg { flex: none; }
.panels { display: grid; gap: 1.75rem 2rem; align-items: start; }
.panels svg { display: block; width: 100%; height: auto; max-width: 28rem; }
@media (min-width: 44rem) { .c2, .c3 { grid-template-columns: repeat(2, minmax(0, 1fr)); } .c1 svg { max-width: 32rem; } }
@media (min-width: 64rem) { .c3 { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
.scroll { overflow: auto; margin: .9rem 0; border-block: 1px solid var(--rule); }
.scroll.tall { max-height: 46rem; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .8125rem; line-height: 1.35; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { padding: .32rem .55rem; text-align: left; vertical-align: baseline; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { padding-left: .2rem; }
thead th { position: sticky; top: 0; z-index: 2; background: var(--paper); white-space: normal; vertical-align: bottom; min-width: 3.6rem; font-weight: 600; color: var(--soft); box-shadow: inset 0 -1px var(--rule); }
tbody th { font-weight: 400; }
.runs tr:not(.group) > th:first-child { position: sticky; left: 0; background: var(--paper); }
.runs thead th:first-child { z-index: 3; }
.right { text-align: right; }
.strong { font-weight: 650; }
.theory, .null, .why, td small { color: var(--soft); } @media screen { td.why { white-space: normal; min-width: 9.5rem; font-size: .7rem; line-height: 1.3; } #runs table { font-size: .75rem; } #runs th, #runs td { padding-inline: .28rem; } } #checks td, #checks th { white-space: normal; } #checks code { overflow-wrap: anywhere; }
td small { font-size: .9em; }
.group th { padding-top: 1.1rem; font-weight: 650; font-size: .875rem; border-bottom-color: var(--rule); }
.group span { position: sticky; left: .2rem; }
.broken td, .broken th { color: var(--soft); }
.chip { font-weight: 600; white-space: nowrap; }
.chip.holds { color: var(--good); } .chip.approximate { color: var(--fair); } .chip.fails { color: var(--poor); } .chip.undetermined { color: var(--soft); }
table.facts { min-width: 0; } table.facts th { color: var(--soft); } table.facts td { white-space: normal; overflow-wrap: anywhere; }
details { margin-top: .9rem; }
summary { cursor: pointer; padding: .2rem 0; font-weight: 600; font-size: .9375rem; }
details details { margin: .2rem 0 .2rem 1rem; } details details summary { font-weight: 400; }
details > figure, details > section { margin-top: 1.2rem; }
code, pre { font: .8125rem/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace; }
pre { margin: .6rem 0; padding: .8rem 1rem; background: var(--wash); overflow-x: auto; }
dl.terms { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .5rem 1.2rem; font-size: .9375rem; max-width: 54rem; }
dl.terms dt { font-weight: 600; } dl.terms dd { margin: 0; }
@media (max-width: 30rem) { body { padding: 1.5rem 1rem 3rem; } dl.terms { grid-template-columns: 1fr; gap: .1rem; } dl.terms dd { margin-bottom: .6rem; } section { margin-top: 2.5rem; } }
@page { size: A4; margin: 15mm 14mm; }
@page wide { size: A4 landscape; margin: 13mm 12mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  h1 { font-size: 17pt; } .finding { font-size: 11.5pt; }
  nav { display: none; }
  section { margin-top: 8mm; }
  .panels { gap: 4mm 5mm; } .c3 { grid-template-columns: repeat(3, minmax(0, 1fr)); } .c2 { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .panels svg, figcaption, tr, h2, h3 { break-inside: avoid; } h2, h3, summary, figcaption, .finding, .keys, .group { break-after: avoid; }
  .scroll, .scroll.tall { overflow: visible; max-height: none; } thead th { position: static; }
  #runs { page: wide; } thead th { min-width: 0; }
  table { font-size: 6.8pt; } th, td { padding: .7mm 1.1mm; } td.why, #checks td, #checks th { white-space: normal; } #checks code { overflow-wrap: anywhere; } td code, th code { font-size: inherit; }
  pre { white-space: pre-wrap; font-size: 7.5pt; }
  details:not(.raw, .raw details)::details-content { content-visibility: visible; display: block; block-size: auto; }
  details.raw:not([open]) { display: none; }
}
";

/// The page's style sheet, with the figures' in it.
pub(crate) fn page() -> String {
    format!(
        ":root {{ {} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {} }} }}{PAGE}{FIGURE}",
        variables(|(_, light, _)| light),
        variables(|(_, _, dark)| dark),
    )
}

/// The style sheet of a figure that stands alone: plain colours, so that every viewer reads it.
pub(crate) fn standalone() -> String {
    COLOURS.iter().fold(FIGURE.to_string(), |style, (name, light, _)| style.replace(&format!("var(--{name})"), light))
}

/// The colours as custom properties.
fn variables(of: impl Fn(&(&'static str, &'static str, &'static str)) -> &'static str) -> String {
    let each = COLOURS.iter().map(|colour| format!("--{}: {};", colour.0, of(colour)));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_stands_alone_needs_no_variables() {
        assert!(!standalone().contains("var("));
        assert!(standalone().contains("#0072b2"));
    }

    #[test]
    fn every_colour_that_is_used_is_defined() {
        for part in format!("{PAGE}{FIGURE}").split("var(--").skip(1) {
            let name = part.split(')').next().unwrap();
            assert!(COLOURS.iter().any(|colour| colour.0 == name), "{name}");
        }
    }
}
