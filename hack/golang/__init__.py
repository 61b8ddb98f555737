"""Programs written in Go, built once from pinned modules and kept in the user's cache folder."""

from hack.golang.module import GoModule, cache_folder
from hack.golang.toolchain import find_go

__all__ = ["GoModule", "cache_folder", "find_go"]
