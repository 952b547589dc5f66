"""Says how a reply was thought out. The switches are a proxy; hidden thoughts have no figures."""

from __future__ import annotations

from planner_app.view import fields


def in_short(thinking: fields.Data) -> str:
    """A few words for a line; empty when there is nothing to say."""
    if thinking.get("measurable") is False:
        why = fields.text(thinking, "why")
        return "switches not measurable" if why in ("hidden", "summarised") else ""
    if not fields.whole(thinking, "switches"):
        return ""
    flagged = ", flagged" if thinking.get("underthinking") is True else ""
    per_1k = fields.real(thinking, "per_1k") or 0
    return f"{fields.whole(thinking, 'switches')} switches ({per_1k:.1f} per 1k{flagged})"


def in_full(thinking: fields.Data) -> tuple[str, ...]:
    """Lines with all that was measured."""
    if thinking.get("measurable") is False:
        why = fields.text(thinking, "why")
        return (f"thought switches: not measurable{f' ({why})' if why else ''}",)
    if "switches" not in thinking:
        return ()
    flagged = ", flagged" if thinking.get("underthinking") is True else ""
    switches = (
        f"thought switches: {fields.whole(thinking, 'switches')} "
        f"({fields.real(thinking, 'per_1k') or 0:.1f} per 1k tokens, "
        f"{fields.real(thinking, 'mean_tokens') or 0:.0f} tokens a thought, "
        f"{fields.real(thinking, 'short_share') or 0:.0%} in short ones; a proxy{flagged}), "
        f"{fields.whole(thinking, 'weak')} hesitations"
    )
    share = fields.real(thinking, "language_share")
    if share is None:
        return (switches,)
    return (switches, f"thoughts in {fields.text(thinking, 'language')}: {share:.0%}")
