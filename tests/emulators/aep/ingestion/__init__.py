"""Files of a landing zone (landing-zone.md E.3, E.4, K.4, K.5) and rows of tables (platform.md 6, 7) on their
way into a dataset.
"""
