"""What a transfer costs, beside a bare copy of the same bytes: ``make transfer-bench``."""
