"""What the operator asks of others, counted from outside."""
