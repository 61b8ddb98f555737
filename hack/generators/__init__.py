"""What is generated from the models of the kinds: CRDs and reference pages."""
