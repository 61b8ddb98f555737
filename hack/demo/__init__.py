"""The main job, end to end, on a real API server and against the emulators."""
