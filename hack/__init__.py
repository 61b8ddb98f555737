"""Development tools: generators, a local control plane, the demo."""
