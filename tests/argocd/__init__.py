"""Argo CD's side of its scripts: the sandbox that runs them, and the test files in its format."""
