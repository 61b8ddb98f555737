"""A bulk read file of 50 columns as an organization has them: about fifteen bytes in a cell, three texts in a
row that may hold commas, quotes and line breaks.
"""

from __future__ import annotations

import csv
import io
import os
import random
import zipfile
from pathlib import Path

COLUMNS = ["id", "Created_Time", "Modified_Time", "Owner", *(f"Field_{number}" for number in range(46))]
DATE_TIMES = ["Created_Time", "Modified_Time"]
TEXTS = (5, 20, 35)
"""Fields that are quoted in three rows of five."""


_DIFFERENT = 5_000
"""Rows whose values differ; they repeat at distances that DEFLATE, which looks back 32 KiB, does not see."""


def write(path: Path, count: int) -> None:
    """A ZIP of ``count`` rows; the same ones each time."""
    made = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzäöü"
    words = ["".join(made.choices(letters, k=made.randint(3, 16))) for _ in range(5000)]
    values = [[_cell(made, words, field) for field in range(46)] for _ in range(_DIFFERENT)]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("1.csv", "w") as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*_key(number), *values[number % _DIFFERENT]] for number in range(count))
        text.flush()
    part.rename(path)


def _key(number: int) -> list[str]:
    at = f"2025-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:20:{number % 60:02}"
    return [str(4_876_876_000_000_000_000 + number), f"{at}+00:00", f"{at}+02:00", "4876876000000225013"]


def _cell(made: random.Random, words: list[str], field: int) -> str:
    word, other = made.choice(words), made.choice(words)
    if field in TEXTS:
        return word + made.choice([", ", " ", "\n", ' "x" ', ": "]) + other
    return [
        f"{word} {other}",
        str(made.randint(0, 10**9)),
        made.choice(["true", "false"]),
        f"{word}@{other}.com",
        made.choice(["", word]),
        f"48768760000002{made.randint(10**4, 10**5)}",
    ][field % 6]
