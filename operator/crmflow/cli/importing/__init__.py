"""``kubectl crmflow import``: manifests that adopt what exists in a sandbox."""
