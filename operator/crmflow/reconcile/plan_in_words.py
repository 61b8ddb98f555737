"""A plan that replaces a flow, as people read it in conditions and at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crmflow.api.crmdataflow import PlannedAction, PlannedEffect, Reads, ReadsFrom
from crmflow.sentences import every


def in_words(actions: Sequence[PlannedAction], reads: Reads) -> str:
    """A plan as sentences. What is deleted stands in status with its ids."""
    made = every(one.object for one in actions if one.action is PlannedEffect.CREATE)
    done = f"create {made}; then disable the flow that exists, and delete it with what it is built on."
    return " ".join([done, *reads_in_words(reads)])


def reads_in_words(reads: Reads) -> list[str]:
    """What the new flow reads, what may come twice by that, and what is lost: a sentence each."""
    sentences = [f"The new flow reads {_READS[reads.begin].format(since=_time(reads.since))}."]
    if reads.twice:
        sentences.append(f"The dataset may get twice {reads.twice}.")
    if reads.lost:
        sentences.append(f"Nothing reads {reads.lost}.")
    return sentences


_READS = {
    ReadsFrom.BEGINNING: "all records",
    ReadsFrom.NEXT_RUN: "what changes from a coming run of the old one on",
    ReadsFrom.PREDECESSOR: "what the old one has not read, which is what changed since {since}",
}


def _time(time: datetime | None) -> str:
    return "its last run" if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}"
