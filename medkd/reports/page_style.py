"""The page's style sheet. Light and dark follow the reader's screen; figures stay on white."""

from __future__ import annotations

__all__ = ["STYLE_SHEET"]

STYLE_SHEET = """
:root {
  color-scheme: light dark;
  --ink: #1f2933; --muted: #5f6b78; --page: #ffffff; --card: #f6f8fa; --line: #dde3e9;
  --best: #0b6b4f; --best-back: #e3f4ec; --worse: #a3341c; --worse-back: #fbe9e4;
  --accent: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ec; --muted: #9aa6b2; --page: #14181d; --card: #1d232a; --line: #313a44;
    --best: #7fe0bb; --best-back: #17382d; --worse: #ffab94; --worse-back: #42221a;
    --accent: #6bb8ea;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    "Liberation Sans", sans-serif;
}
main { max-width: 1128px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 34px; line-height: 1.2; letter-spacing: -0.01em; margin: 2px 0 6px; }
h2 { font-size: 21px; letter-spacing: -0.005em; margin: 52px 0 14px; padding-top: 18px;
  border-top: 1px solid var(--line); }
h3 { font-size: 16px; margin: 28px 0 8px; }
p { max-width: 78ch; margin: 0 0 12px; }
.over { color: var(--muted); font-size: 14px; }
.statement { background: var(--card); border-left: 4px solid var(--accent); border-radius: 6px;
  padding: 18px 22px 8px; margin: 26px 0 28px; }
.statement p { max-width: none; }
.statement p:last-child { color: var(--muted); font-size: 15px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 9px; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; font-size: 14px; vertical-align: bottom; }
thead .group { text-align: center; color: var(--ink); padding-bottom: 2px; border-bottom: none; }
thead .blank { border-bottom: none; }
tbody th, thead th:first-child { text-align: left; font-weight: 600; }
thead th.left { text-align: left; }
tbody th { white-space: normal; }
tbody th.marked { padding-left: 29px; text-indent: -20px; }
td .spread { display: block; color: var(--muted); font-size: 12px; line-height: 1.25; }
td.best { background: var(--best-back); color: var(--best); font-weight: 700; }
td.worse { background: var(--worse-back); color: var(--worse); font-weight: 700; }
td.best .spread, td.worse .spread { font-weight: 400; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px;
  margin-right: 9px;
  outline: 1px solid var(--line); }
.small { font-size: 14px; }
.small th, .small td { padding: 4px 6px; }
.small tbody th.marked { padding-left: 26px; }
.small thead th { white-space: normal; font-size: 13px; line-height: 1.3; }
.small td .spread { font-size: 11.5px; }
.note, figcaption { color: var(--muted); font-size: 14px; }
.note { margin-top: 10px; max-width: 100ch; }
figure { margin: 0 0 34px; overflow-x: auto; }
figure img { display: block; max-width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--line); border-radius: 8px; }
figcaption { max-width: 100ch; margin-top: 8px; }
figure:target img { max-width: none; width: auto; }
.smaller, figure:target .larger { display: none; }
figure:target .smaller { display: inline; }
a { color: var(--accent); }
details { margin: 14px 0; }
summary { cursor: pointer; color: var(--accent); }
dl.terms { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; margin: 12px 0; }
dl.terms dt { font-weight: 600; }
dl.terms dd { margin: 0; max-width: 90ch; }
dl.settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr));
  gap: 12px 24px; margin: 0; }
dl.settings dt { color: var(--muted); font-size: 13px; }
dl.settings dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 56px; padding-top: 16px; border-top: 1px solid var(--line);
  color: var(--muted); font-size: 14px; }
@media print {
  figure, table, .statement { break-inside: avoid; }
  td.best, td.worse { print-color-adjust: exact; }
}
"""
