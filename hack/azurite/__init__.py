"""Azurite, Microsoft's emulator of Azure Blob Storage: installed once from pinned npm packages."""

from hack.azurite.install import azurite_command

__all__ = ["azurite_command"]
