"""What is extracted, when, and what became of it, for dataflows through the landing zone (design.md 11).

Plain functions and frozen values: nothing here asks a clock or talks to anybody. ``rhythm`` says which window
is next, ``cutting`` divides it, ``pending`` follows each window until Platform has ingested it, ``cursor``
finds the place again after a loss, ``credits`` and ``slots`` ration what an organization shares, ``names``
are those of files and Jobs, ``completeness`` compares what was written with what was ingested.
"""
