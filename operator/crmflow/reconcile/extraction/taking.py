"""Whether a run took a file (landing-zone.md E.3, K.4; platform.md 7.1).

| what is known                                   | the run took the file                    |
|-------------------------------------------------|------------------------------------------|
| its manifest names files of ours                | if this one is among them                |
| it ended with success and has read no record    | no                                       |
| it shows no window                              | not known                                |
| the file was committed clear of both bounds     | if that was between them                 |
| near a bound, and rows of files are counted     | if only that gives the records it read   |

Whether Platform shows a run's manifest is not certain. Without it times have to do, though which bounds of a
window belong to it, and on whose clock they are, is not documented: a file that was committed in the very
second of a tick may be taken by either of the runs on both sides of it, or by neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from crmflow.reconcile.extraction.observed import FileRun, StoredFile


def took(run: FileRun, file: StoredFile, counted: Collection[StoredFile] = ()) -> bool | None:
    """None: that is not known. ``counted`` are the files that the run may have read, ``file`` included; none
    where their rows do not tell, since somebody else has put files into the folder as well.
    """
    if run.files is not None:
        return file.key in run.files
    if run.succeeded and run.records_read == 0:
        return False
    if run.window is None:
        return None
    if not run.may_cover(file.committed):
        return False
    return True if run.surely_covers(file.committed) else _by_count(run, file, counted)


def _by_count(run: FileRun, file: StoredFile, counted: Collection[StoredFile]) -> bool | None:
    """By the spans of time whose files have as many rows as the run read: all of them hold ``file``, or none
    does.
    """
    if not run.succeeded or run.records_read is None:
        return None
    may = sorted((one for one in counted if run.may_cover(one.committed)), key=lambda one: one.committed)
    fitting = [span for span in _spans(run, may) if sum(one.records for one in span) == run.records_read]
    found = {file in span for span in fitting}
    return found.pop() if len(found) == 1 else None


def _spans(run: FileRun, may: Sequence[StoredFile]) -> Iterator[Sequence[StoredFile]]:
    """What the run may have taken of the files ``may``, which are in the order of their commits."""
    surely = [number for number, one in enumerate(may) if run.surely_covers(one.committed)]
    last_begin, first_end = (surely[0], surely[-1] + 1) if surely else (len(may), 0)
    for begin in range(last_begin + 1):
        for end in range(max(begin, first_end), len(may) + 1):
            yield may[begin:end]
