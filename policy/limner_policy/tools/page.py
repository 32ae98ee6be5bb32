"""What printed pages share: escaping, the style, the frame. A page is one file that loads nothing from anywhere.

Whatever comes from a pack is text: it is escaped, and characters that would move or hide others are spelled out.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

_SHOWN = {"\n": "\n", "\t": "    "}


def text(value: object) -> str:
    """Escape a text for any place between tags or in a quoted attribute."""
    return html.escape("".join(_spelled(sign) for sign in str(value)), quote=True)


def _spelled(sign: str) -> str:
    if sign in _SHOWN:
        return _SHOWN[sign]
    if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return sign.encode("unicode_escape").decode()
    return sign


def tag(name: str, *inner: str, css: str = "", anchor: str = "") -> str:
    """Wrap markup in an element; `inner` is markup already, `css` a class of ours, `anchor` an id."""
    attributes = f' class="{text(css)}"' if css else ""
    attributes += f' id="{text(anchor)}"' if anchor else ""
    return f"<{name}{attributes}>{''.join(inner)}</{name}>"


def link(url: str) -> str:
    """An address as a link where it is one of the web, else as text."""
    shown = text(url)
    return f'<a href="{shown}" rel="noreferrer">{shown}</a>' if url.startswith(("https://", "http://")) else shown


def table(head: Iterable[str], rows: Iterable[Iterable[str]], css: str = "") -> str:
    """A table; cells are markup, the head is text."""
    top = tag("tr", *(tag("th", text(cell)) for cell in head))
    body = (tag("tr", *(tag("td", cell) for cell in row)) for row in rows)
    return tag("table", tag("thead", top), tag("tbody", *body), css=css)


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A list of names with their markup."""
    return tag("dl", *(tag("dt", text(name)) + tag("dd", value) for name, value in rows))


def page(title: str, body: Iterable[str], *, style: str = "") -> str:
    """The whole file; `style` is more CSS, for what other pages do not have."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n"
        "</body>\n</html>\n"
    )


_STYLE = """
:root { --ink: #1c1b19; --soft: #66625a; --line: #d9d4c8; --paper: #fffdf8; --accent: #7a1f1f;
  --deny: #8c1c13; --review: #8a5a00; --duties: #5b5a00; --allow: #1f5f38; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 11pt/1.5 "Source Serif 4", Charter, "Iowan Old Style", Georgia, "DejaVu Serif", serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; margin: 2.6rem 0 .8rem; padding-bottom: .25rem; border-bottom: 2px solid var(--accent); }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: .5rem 0; }
.lead { font-size: 1.1rem; color: var(--soft); }
.says { font-size: 1.08rem; font-weight: 600; margin: .35rem 0 .6rem; }
.small, dt, th { font: 600 .76rem/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--soft); }
.mono, pre { font: .8rem/1.45 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 7.5rem 1fr; gap: .2rem .8rem; margin: .6rem 0; }
dt { padding-top: .18rem; } dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; margin: .6rem 0; }
th { text-align: left; border-bottom: 1px solid var(--ink); padding: .25rem .5rem .25rem 0; }
td { vertical-align: top; border-bottom: 1px solid var(--line); padding: .3rem .5rem .3rem 0;
  overflow-wrap: break-word; }
pre { background: #f4f0e6; border: 1px solid var(--line); padding: .7rem .8rem; white-space: pre-wrap; }
ul { margin: .2rem 0; padding-left: 1.2rem; } li { margin: .1rem 0; }
a { color: var(--accent); text-decoration: none; }
.key { white-space: nowrap; }
.rule { border-top: 1px solid var(--line); padding: 1.1rem 0 .4rem; }
.head { display: flex; gap: .7rem; align-items: baseline; flex-wrap: wrap; }
.id { font: 600 .8rem system-ui, "DejaVu Sans", sans-serif; color: var(--soft); }
.badge { font: 600 .72rem/1 system-ui, "DejaVu Sans", sans-serif; padding: .28rem .5rem; border-radius: 3px;
  color: #fff; background: var(--soft); white-space: nowrap;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.deny { background: var(--deny); } .review { background: var(--review); }
.allow_with_duties { background: var(--duties); } .allow { background: var(--allow); }
.quiet { background: none; color: var(--soft); border: 1px dashed var(--soft); }
.warn { border-left: 3px solid var(--review); padding-left: .7rem; }
.sign { table-layout: fixed; } .sign td { height: 3.2rem; vertical-align: bottom; }
.plus { color: var(--allow); } .tilde { color: var(--ink); }
.minus { color: var(--deny); text-decoration: line-through; }
.mark { display: inline-block; width: 1.1rem; font-weight: 700; text-indent: 0; }
.change { margin: .15rem 0 .15rem 1.1rem; text-indent: -1.1rem; overflow-wrap: anywhere; }
.tightened { background: var(--deny); } .loosened { background: var(--allow); }
.both, .not-told { background: var(--review); }
@page { size: A4; margin: 18mm 16mm 20mm; }
@media print {
  body { background: #fff; font-size: 10pt; } main { max-width: none; padding: 0; }
  h2, h3, .head, .says { break-after: avoid; } .cover { break-after: page; } tr, .change { break-inside: avoid; }
  .signatures { break-inside: avoid; } a { color: inherit; } pre { font-size: .7rem; }
}
"""
