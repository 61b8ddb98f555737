"""What exists when the emulator starts or is reset; nothing in it is random."""
