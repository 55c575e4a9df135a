"""``knob``: one user-facing option with its default, range, unit and explanation in exactly one place."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def knob(
    default: Any,
    text: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """A pydantic field for a user-facing option.

    Args:
        default: the value that holds when the user says nothing.
        text: one sentence for help, docs and forms.
        unit: the unit that is shown beside the value.
        low, high: inclusive bounds; ``above``: exclusive lower bound.
    """
    return Field(default, description=text, ge=low, le=high, gt=above, json_schema_extra={"unit": unit})
