"""Which API server is asked, and as whom: read from kubeconfig files as kubectl reads them.

The loader of the Python client knows only a part of a kubeconfig and drops the rest in silence, impersonation
included: who took it would act with more rights than kubectl. So everything that kubectl reads is either
taken here as kubectl takes it, or refused in words.
"""
