"""The runtime on other processors and systems: aarch64 under emulation, macOS and Windows imitated."""
