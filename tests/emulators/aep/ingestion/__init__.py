"""Files of a landing zone on their way into a dataset (landing-zone.md E.3, E.4, K.4, K.5)."""
