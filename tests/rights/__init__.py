"""The operator with exactly the rights that the chart gives it: what it uses, and what fails without each."""
