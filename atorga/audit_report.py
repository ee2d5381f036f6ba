"""What an audit found, as one object for programs and as lines for people."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, TextIO

from atorga.audit_words import Words
from consent.ledger.audit import AuditReport
from consent.ledger.findings import Finding, Invariant
from consent.ledger.latency import quantiles
from consent.log.mirror import Step

SHOWN_FINDINGS = 20


def as_json(report: AuditReport, *, mirrored: Step | None = None) -> dict[str, Any]:
    checkpoint = report.checkpoint.checkpoint
    mirror = {} if mirrored is None else {"mirror": {"kept": mirrored.kept, "fetched": mirrored.fetched}}
    return {
        "state": "passed" if report.passed else "failed",
        "log": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode(),
        "leaves_read": report.leaves_read,
        **mirror,
        "witnessed": report.witnessed,
        "cosigned": dict(report.cosigned),
        "grants": dict(report.grants),
        "kinds": {kind.word: count for kind, count in sorted(report.kinds.items())},
        "promises": dict(report.promises),
        "promised_minutes_to_spare": quantiles(report.spare_minutes),
        "minutes_to_first_refusal": dict(report.latencies.summary()),
        "without_entries": list(report.without_entries),
        "adopted": report.adopted,
        "checks": {
            invariant.value: {"checked": checked, "violations": violations}
            for invariant, (checked, violations) in report.counts.items()
        },
        "findings": [finding_json(finding) for finding in report.findings],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "invariant": finding.invariant.value,
        "code": finding.code,
        "log": finding.origin,
        "leaf_index": finding.leaf_index,
        "found": finding.found,
        "expected": finding.expected,
    }


def print_report(
    report: AuditReport, words: Words, out: TextIO, *, mirrored: Step | None = None, latency: bool = False
) -> None:
    checkpoint = report.checkpoint.checkpoint
    lines = [
        words("log", origin=checkpoint.origin, size=words.number(checkpoint.size), root=checkpoint.root.hex()[:16])
    ]
    lines.append(words("witnessed" if report.witnessed else "not_witnessed"))
    lines += [words("cosigned", name=name, time=words.time(at)) for name, at in sorted(report.cosigned.items())]
    if mirrored is not None:
        lines.append(words("mirrored", kept=words.number(mirrored.kept), fetched=words.number(mirrored.fetched)))
    lines += [
        words("without_entries", origin=origin, adopted=words.number(report.adopted))
        for origin in report.without_entries
    ]
    lines += [words("read", leaves=words.number(report.leaves_read), **_numbers(report, words)), ""]
    lines += list(invariant_lines(report, words))
    lines += _more(report, words, latency=latency)
    if report.findings:
        lines += ["", words("found")]
        lines += [f"  {words.finding(finding)}" for finding in report.findings[:SHOWN_FINDINGS]]
        hidden = sum(violations for _, violations in report.counts.values()) - SHOWN_FINDINGS
        if hidden > 0:
            lines.append(f"  {words('more', n=words.number(hidden))}")
    lines += ["", words(verdict(report))]
    out.write("\n".join(lines) + "\n")


def invariant_lines(report: AuditReport, words: Words) -> list[str]:
    lines = []
    for invariant, (checked, violations) in report.counts.items():
        mark = "✗" if violations else "✓" if checked else "–"
        counted = words("violations", n=words.number(violations)) if violations else ""
        lines.append(f"{mark} {words.number(checked):>11}  {words(f'invariant.{invariant.value}')}{counted}")
    return lines


def verdict(report: AuditReport) -> str:
    """The key of the sentence that sums it up."""
    broken = {invariant for invariant, (_, violations) in report.counts.items() if violations}
    if broken == {Invariant.WITNESSES}:
        return "failed_witnesses"
    return "failed" if broken else "passed"


def _more(report: AuditReport, words: Words, *, latency: bool) -> list[str]:
    lines = []
    if report.promises:
        counts = {state: words.number(report.promises.get(state, 0)) for state in ("kept", "pending", "late", "broken")}
        lines.append(words("kept_promises", **counts))
        spare = quantiles(report.spare_minutes)
        if latency and spare["p50"] is not None:
            lines.append(words("spare", least=words.number(min(report.spare_minutes)), **_shown(spare)))
    if latency:
        lines.append(words("latency", **_shown(report.latencies.summary())))
    return ["", *lines] if lines else []


def _shown(values: Mapping[str, int | None]) -> dict[str, object]:
    return {name: "–" if value is None else value for name, value in values.items()}


def _numbers(report: AuditReport, words: Words) -> dict[str, str]:
    uses = sum(count for kind, count in report.kinds.items() if kind.word == "use")
    return {name: words.number(count) for name, count in {**report.grants, "uses": uses}.items()}
