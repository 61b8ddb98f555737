"""A whole table through the landing zone at the real size of Bulk Read's files: ``make transfer``."""
