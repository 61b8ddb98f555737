"""Sentences, and lists in them: the one place that turns parts into text for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable

NAMES_SHOWN = 8


def some(names: Iterable[str], shown: int = NAMES_SHOWN) -> str:
    """The names for a sentence, cut where they would flood it.

    Raises ValueError without any: a sentence about nothing is another sentence, see :func:`naming`.
    """
    listed = list(names)
    if not listed:
        raise ValueError("a sentence needs at least one name")
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more


def every(names: Iterable[str]) -> str:
    """The same with all of them, where each one matters. Raises ValueError without any."""
    listed = list(names)
    return some(listed, len(listed))


def naming(sentence: str, names: Collection[str], *, none: str, shown: int = NAMES_SHOWN) -> str:
    """``sentence`` with the names in the place of ``{}``; ``none`` if there are none."""
    return sentence.replace("{}", some(names, shown)) if names else none


def sentence(text: str) -> str:
    """``text``, which may be a remote service's, with one mark at its end; nothing stays nothing."""
    return text if not text or text[-1] in ".!?…" else f"{text}."
