"""CRMDataflowRun: one run of a dataflow beside its schedule."""
