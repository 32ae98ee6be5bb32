"""A comparison of two packs as lines for a terminal and as a printable page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limner_policy.tools.comparing import EFFECTS, PackChange, RuleChange, Sentence
from limner_policy.tools.page import page, pairs, tag, text

_CSS = {"+": "plus", "-": "minus", "~": "tilde"}


def lines(changes: Sequence[PackChange]) -> Iterator[str]:
    """Give the comparison line by line; nothing where there is none."""
    for pack in changes:
        yield f"{pack.name}: {_side(pack.old)} → {_side(pack.new)}"
        yield f"  {pack.summary}"
        yield from (f"  {one.sign} {one.text}" for one in pack.sentences)
        for rule in pack.rules:
            yield ""
            yield f"  {_headline(rule)}"
            yield from (f"    {one.sign} {_said(one)}" for one in rule.sentences)
        yield ""


def _side(pack: dict[str, str] | None) -> str:
    return f"{pack['version']} ({pack['sha256'][:12]}…)" if pack else "none"


def _headline(rule: RuleChange) -> str:
    told = "" if rule.kind in ("added", "removed") and rule.effect != "same" else f": {EFFECTS[rule.effect]}"
    if rule.kind in ("added", "removed") and rule.effect == "same":
        told = ": it decides nothing, it is recorded only"
    line = rule.new_line or rule.old_line
    return f"{rule.rule} {rule.title} (line {line}) {rule.kind}{told}"


def _said(one: Sentence) -> str:
    return one.text if one.text.startswith((one.about, "where", "duty", "examples")) else f"{one.about}: {one.text}"


def redline(changes: Sequence[PackChange]) -> str:
    """Give the comparison as one HTML file."""
    body: list[str] = []
    for pack in changes:
        title = (pack.new or pack.old or {}).get("title", pack.name)
        body.append(tag("h1", text(f"{title}: what changed")))
        body.append(tag("p", text(f"{pack.summary[0].upper()}{pack.summary[1:]}."), css="lead"))
        body.append(pairs((name, _identity(side)) for name, side in (("before", pack.old), ("after", pack.new))))
        body += [tag("h2", "The pack"), *map(_sentence, pack.sentences)] if pack.sentences else []
        body += [tag("h2", "The rules"), *map(_rule, pack.rules)] if pack.rules else []
    return page("What changed in the policy", body or [tag("p", "Nothing differs.")])


def _identity(pack: dict[str, str] | None) -> str:
    if pack is None:
        return "none"
    return text(f"{pack['name']} {pack['version']}") + " " + tag("span", text(pack["sha256"]), css="mono")


def _rule(rule: RuleChange) -> str:
    badge = {"added": "tightened", "removed": "loosened"}.get(rule.kind, rule.effect)
    css = badge if rule.effect != "same" else "quiet"
    words = rule.kind if rule.kind in ("added", "removed") else EFFECTS[rule.effect]
    head = tag(
        "div",
        tag("span", text(rule.rule), css="id"),
        tag("h3", text(rule.title)),
        tag("span", text(words), css=f"badge {css.replace(' ', '-')}"),
        css="head",
    )
    return tag("section", head, *map(_sentence, rule.sentences), css="rule")


def _sentence(one: Sentence) -> str:
    mark = tag("span", text({"+": "+", "-": "−", "~": "~"}[one.sign]), css="mark")
    return tag("div", mark, tag("span", text(_said(one)), css=_CSS[one.sign]), css="change")
