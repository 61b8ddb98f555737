"""Azure Blob Storage: Azurite behind a proxy that keeps the emulators' time."""
