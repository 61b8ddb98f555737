"""Kill the operator at every moment that could matter, and see that the same comes of it."""
