"""The policy book: one pack as a printable page for people who sign it.

Every figure on it is taken from the pack or measured when the book is made; the day of printing is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from limner_policy.concepts import PLACE, Concept
from limner_policy.example_checks import failure
from limner_policy.handling import NOTHING_KEPT
from limner_policy.pack import Pack, Rule, Source
from limner_policy.tools.coverage import BorderCover, Coverage, Ran, coverage
from limner_policy.tools.findings import Finding
from limner_policy.tools.mutation import Mutation
from limner_policy.tools.page import link, page, pairs, table, tag, text
from limner_policy.tools.phrases import (
    STAGES,
    Phrase,
    dates,
    duty_words,
    example_words,
    modes,
    moment,
    outcome,
    phrase,
    source_words,
)
from limner_policy.tools.reach import UNKNOWN, can
from limner_policy.verdicts import Verdict

LIST_WORDS = 400
"""Words of one condition that a book names; a longer list is counted and named by its digest."""

GLOSSARY = (
    ("rule", "One sentence with a reason, a source and examples. It holds, does not hold, or cannot be decided."),
    (
        "refused (deny)",
        "Nothing is made, or what was made is not handed out. A refusal is never got around by another engine.",
    ),
    ("review", "A person decides before anything goes on."),
    ("allowed with duties", "It goes on if something is done to the picture, such as a visible label."),
    ("allowed", "No rule objects. No rule can make what another refuses allowed: the most severe outcome of all wins."),
    (
        "stage",
        "When a rule is asked: of what is asked for, of each engine, of each picture, of each picture's release.",
    ),
    ("recorded only (audit, warn)", "The rule is looked at and its outcome is kept in the log; it decides nothing."),
    ("cannot be decided", "A fact was not said, or a detector gave no score. Each rule says what follows then."),
    (
        "terms",
        "Whole words or phrases, compared without regard to case, accents, look-alike letters, l33t or s p a c i n g.",
    ),
    ("pattern", "A form of words in the RE2 language, for what a list of words cannot say. An engineer reads these."),
    (
        "detector",
        "A program that looks at a picture and gives a score from 0 to 1. Its scores are evidence, not truth.",
    ),
    (
        "concept",
        "What a detector looks for, said in words: prompts for what it looks like and for what it is not.",
    ),
    (
        "duty",
        "Something that has to be done because of a decision. What this version cannot carry out blocks the release.",
    ),
    (
        "pack digest",
        "The SHA-256 of the file and its lists. The same digest means the same bytes; the log keeps it for ever.",
    ),
    ("dates", "Days are in UTC. “From” includes its day; a last day is named inclusively."),
)


def book(
    pack: Pack,
    printed: date,
    *,
    findings: Sequence[Finding] = (),
    measured: Mutation | None = None,
) -> str:
    """Give the book as one HTML file.

    Args:
        pack: The pack.
        printed: The day that stands on it.
        findings: What lint found in this pack.
        measured: Its mutation score, where it was measured.
    """
    covered = coverage(pack)
    body = [
        _cover(pack, printed),
        _state(covered, findings, measured),
        _contents(pack),
        tag("h2", "The rules", anchor="rules"),
        *(_rule(pack, rule, [one for one in covered.ran if one.rule is rule]) for rule in pack.rules),
        *_lists(pack),
        *_concepts(pack),
        _handling(pack),
        *_organisation(pack),
        _sources(pack),
        tag("h2", "Words used", anchor="words"),
        pairs((word, text(meaning)) for word, meaning in GLOSSARY),
        _signatures(pack),
    ]
    return page(f"{pack.title}: policy book of {pack.name} {pack.version}", body)


def _cover(pack: Pack, printed: date) -> str:
    rows = [
        ("pack", tag("b", text(pack.name)) + " " + text(pack.version)),
        ("owner", text(pack.owner)),
        ("in force", text(dates(pack.effective))),
        ("look again by", text(moment(pack.review_by) if pack.review_by else "no day is set")),
        ("rules", text(f"{len(pack.rules)}, with {sum(len(rule.examples) for rule in pack.rules)} examples")),
        ("file", tag("span", text(pack.file.rsplit("/", 1)[-1]), css="mono")),
        ("pack digest", tag("span", text(pack.sha256), css="mono")),
        ("printed", text(printed.isoformat())),
    ]
    lead = "Policy book: what pictures may be made with artificial intelligence, and which are not handed out."
    note = "This book shows one policy file, rule by rule, in plain words. It is no legal advice."
    return tag(
        "section", tag("h1", text(pack.title)), tag("p", lead, css="lead"), pairs(rows), tag("p", note), css="cover"
    )


def _state(covered: Coverage, findings: Sequence[Finding], measured: Mutation | None) -> str:
    good = len(covered.ran) - len(covered.failures)
    borders = covered.borders
    rows = [
        ("examples", f"{good} of {len(covered.ran)} come out as written"),
        (
            "rules shown",
            f"{covered.covered_rules} of {len(covered.rules)} by an example that holds and one that does not",
        ),
        ("dates shown", _dates_shown(borders)),
    ]
    if measured:
        told = (
            f"{measured.score} % of {len(measured.changes)} small changes of the rules would be noticed by an example"
        )
        rows.append(("mutation score", told))
    notes = [
        tag("li", text(f"line {one.line}{', ' + one.rule if one.rule else ''}: {one.message}")) for one in findings
    ]
    rest = (
        [tag("div", tag("p", text("What the machine would look at again:")), tag("ul", *notes), css="warn")]
        if notes
        else []
    )
    return tag("section", tag("h2", "State of this pack"), pairs((name, text(value)) for name, value in rows), *rest)


def _dates_shown(borders: Sequence[BorderCover]) -> str:
    if not borders:
        return "no rule begins, ends or changes its mode on a day"
    return f"{sum(one.crossed for one in borders)} of {len(borders)} date borders, each from both sides"


def _contents(pack: Pack) -> str:
    rows = (
        (
            f'<a class="key" href="#{text(rule.id)}">{text(rule.id)}</a>',
            text(rule.title),
            text(rule.stage),
            _badge(rule.verdict),
            text("" if rule.modes == {"enforce"} else "recorded only" if "enforce" not in rule.modes else "dated"),
        )
        for rule in pack.rules
    )
    return tag("h2", "Contents", anchor="contents") + table(("rule", "title", "stage", "outcome", ""), rows)


def _badge(verdict: Verdict) -> str:
    return tag("span", text(outcome(verdict)), css=f"badge {verdict.value}")


def _rule(pack: Pack, rule: Rule, ran: Sequence[Ran]) -> str:
    head = tag(
        "div",
        tag("span", text(rule.id), css="id"),
        tag("h3", text(rule.title)),
        _badge(rule.verdict),
        *([] if rule.modes == {"enforce"} else [tag("span", text(modes(rule)), css="badge quiet")]),
        css="head",
    )
    rows = [
        ("why", text(rule.why)),
        ("rests on", tag("ul", *(tag("li", _source(source)) for source in rule.basis))),
        ("is asked of", text(STAGES[rule.stage])),
        ("holds where", _tree(phrase(rule.when, most=LIST_WORDS))),
        ("then", text(outcome(rule.verdict, rule.duties))),
        ("not decidable", text(_undecided(rule))),
        *([("denied pictures", text(rule.handling.told))] if rule.verdict is Verdict.DENY else []),
        ("dates", text(dates(rule.effective) + f"; {modes(rule)}")),
        ("severity", text(rule.severity)),
        ("owner", text(rule.owner)),
    ]
    if rule.review_by:
        rows.append(("look again by", text(moment(rule.review_by))))
    lines = f"As it is written, lines {rule.lines[0]} to {rule.lines[1]}:"
    written = tag("p", text(lines), css="small") + tag("pre", text(pack.rule_text(rule.id)))
    return tag(
        "section",
        head,
        tag("p", text(rule.says), css="says"),
        pairs(rows),
        _examples(ran),
        written,
        css="rule",
        anchor=rule.id,
    )


def _undecided(rule: Rule) -> str:
    if can(rule.when, UNKNOWN) is False:
        return "this rule can always be decided"
    return outcome(rule.if_unknown, rule.duties if rule.if_unknown > Verdict.ALLOW else ())


def _tree(told: Phrase) -> str:
    if not told.parts:
        return text(told.text)
    return text(told.text) + tag("ul", *(tag("li", _tree(part)) for part in told.parts))


def _source(source: Source) -> str:
    return text(source_words(source)) + (f" {link(source.url)}" if source.url else "")


def _examples(ran: Sequence[Ran]) -> str:
    if not ran:
        return tag("p", "No example.", css="warn")
    rows = (
        (
            text(example_words(one.example)),
            _badge(one.example.expect),
            text({True: "holds", False: "does not hold", None: "cannot be decided"}[one.held]),
            text("fails" if failure(one.rule, one.example, one.decision) else "✓"),
        )
        for one in ran
    )
    return table(("example", "expected of the whole pack", "this rule", ""), rows)


def _lists(pack: Pack) -> Iterator[str]:
    if not pack.lists:
        return
    yield tag("h2", "Lists", anchor="lists")
    for one in pack.lists:
        names = [*one.terms, *(entity.names[0] for entity in one.entities)]
        rows = [
            ("rows", text(f"{len(one):,}")),
            ("file", text(one.file or "in the pack itself")),
            ("owner", text(one.owner or pack.owner)),
            ("refreshed", text(one.refreshed or "not said")),
            ("first rows", text(", ".join(names[:40]))),
        ]
        rows += [("SHA-256", tag("span", text(one.sha256), css="mono"))] if one.sha256 else []
        yield tag("section", tag("h3", text(one.name)), pairs(rows), css="rule")


def _concepts(pack: Pack) -> Iterator[str]:
    if not pack.concepts:
        return
    note = (
        "A concept is told to the detector in words: what it looks like, and what is easily taken for it. "
        "The score says how much nearer a picture is to the first than to the second."
    )
    yield tag("h2", "Concepts", anchor="concepts") + tag("p", note)
    for one in pack.concepts:
        rows = [
            ("looks like", text("; ".join(one.positive))),
            ("as against", text("; ".join(one.contrast) or "nothing: the likeness alone counts")),
            ("said as", text("; ".join(template.replace(PLACE, "…") for template in one.templates))),
            ("calibrated", _calibrated(one)),
        ]
        yield tag("section", tag("h3", text(one.name)), pairs(rows), css="rule")


def _calibrated(concept: Concept) -> str:
    made = concept.calibration
    if made is None:
        return text("no: a score of 0.5 says that both are equally near, and no score says how sure that is")
    where = f"in evaluation {made.evaluation}, " if made.evaluation else ""
    told = f"{where}for the one model with the digest "
    rest = f"; score = 1 / (1 + exp(−({made.scale} · margin + {made.offset}))). Another model's score is not known."
    return text(told) + tag("span", text(made.weights), css="mono") + text(rest)


def _handling(pack: Pack) -> str:
    """Say what becomes of denied pictures, the default included."""
    named = {one.name: one for one in (NOTHING_KEPT, *pack.handling)}
    rows = [(name, text(named[name].told)) for name in sorted(named)]
    note = "What becomes of the pictures of a denied request, by the name that rules use; “denied” is for all others."
    return tag("h2", "Denied pictures", anchor="handling") + tag("p", note) + pairs(rows)


def _organisation(pack: Pack) -> Iterator[str]:
    claims = pack.organisation
    if claims is None:
        return
    held = "not said" if claims.holds is None else ", ".join(sorted(claims.holds)) or "nothing"
    rows = [
        ("claimed by", claims.claimed_by),
        ("as of", claims.as_of),
        ("annual revenue", f"US${claims.annual_revenue_usd:,}" if claims.annual_revenue_usd is not None else None),
        ("monthly users", f"{claims.monthly_users:,}" if claims.monthly_users is not None else None),
        ("principal place", claims.principal_place),
        ("holds", held),
    ]
    yield tag("h2", "What the organisation says of itself", anchor="organisation")
    yield pairs((name, text(value or "not said")) for name, value in rows)


def _sources(pack: Pack) -> str:
    cited: dict[Source, list[str]] = {}
    for rule in pack.rules:
        for source in rule.basis:
            cited.setdefault(source, []).append(rule.id)
    ordered = sorted(cited, key=lambda source: (source.read or "", source.cite))
    rows = (
        (
            text(source.cite)
            + (f"<br>“{text(source.quote)}”" if source.quote else "")
            + (f"<br>{link(source.url)}" if source.url else ""),
            text(source.read or "no day: a rule of the house"),
            text(source.via or ("the original" if source.url else "")),
            text(", ".join(cited[source])),
        )
        for source in ordered
    )
    note = "A source that was read by way of something else is only as good as that: whoever signs reads the original."
    head = ("source, the oldest first", "read on", "by way of", "rules")
    return tag("h2", "Sources", anchor="sources") + tag("p", note) + table(head, rows)


def _signatures(pack: Pack) -> str:
    duties = sorted({duty_words(duty) for rule in pack.rules for duty in rule.duties})
    asked = f"Duties that this pack asks for: {', '.join(duties)}." if duties else "This pack asks for no duties."
    rows = [(text(role), "", "", "") for role in ("owner of the policy", "legal", "trust and safety")]
    said = f"We have read {pack.name} {pack.version} and approve its rules as they stand in the file with the digest"
    return tag(
        "section",
        tag("h2", "Approval", anchor="approval"),
        tag("p", text(asked)),
        tag("p", text(said), " ", tag("span", text(pack.sha256), css="mono"), "."),
        table(("as", "name", "date", "signature"), rows, css="sign"),
        css="signatures",
    )
