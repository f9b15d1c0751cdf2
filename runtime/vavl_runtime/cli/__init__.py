"""Command lines; they translate between a terminal and the library, nothing more."""
